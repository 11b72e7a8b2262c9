// What must not grow: memory, descriptors, files and time. The server runs in a process of its own, so that the
// sender's memory is not measured.
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { startServer } from '../src/index.ts';
import { diceOf, SEED } from './helpers/seed.ts';
import { flood, floodAndReset, floodDigest, floodVideo } from './helpers/flood.ts';
import {
  descriptorCount,
  forgetPeak,
  peakResidentBytes,
  residentBytes,
  runToEnd,
  startProcess,
} from './helpers/process.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

let folders: string[] = [];

afterEach(async () => {
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
  folders = [];
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-limits-'));
  folders.push(folder);
  return folder;
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

async function until(isSo: () => Promise<boolean>, what: string): Promise<void> {
  const giveUpAt = Date.now() + 20_000;
  while (!(await isSo())) {
    if (Date.now() > giveUpAt) throw new Error(`still not so after 20 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('64 chunks of 64 MiB in parallel', () => {
  it.each([
    ['file first', true],
    ['fields first', false],
  ])(
    '%s, take no more than 64 MiB of memory beyond the idle server',
    { timeout: 300_000 },
    async (_order, fileFirst) => {
      const server = await startProcess(['--data-dir', await newFolder(), '--durability', 'none']);
      await flood(server.port, { fileId: 'warm', index: 0, total: 2, bytes: 8 * MIB, fileFirst });
      const idle = await residentBytes(server.pid);
      await forgetPeak(server.pid);
      const answers = await Promise.all(
        Array.from({ length: 64 }, (_, n) =>
          flood(server.port, { fileId: `upload-${n}`, index: 0, total: 2, bytes: 64 * MIB, fileFirst }),
        ),
      );
      const grown = (await peakResidentBytes(server.pid)) - idle;
      console.info(`grown by ${Math.round(grown / MIB)} MiB, file first: ${String(fileFirst)}`);
      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 64 }, () => 200));
      expect(grown).toBeLessThanOrEqual(64 * MIB);
    },
  );
});

describe('16 whole videos of 64 MiB sent directly and in parallel', () => {
  it.each([
    ['file first', true],
    ['fields first', false],
  ])('%s, go to the disk as they come: no more than 64 MiB of memory (F8)', async (_order, fileFirst) => {
    const server = await startProcess(['--data-dir', await newFolder(), '--durability', 'none']);
    await floodVideo(server.port, { bytes: 8 * MIB, fileFirst });
    const idle = await residentBytes(server.pid);
    await forgetPeak(server.pid);
    const videos = Array.from({ length: 16 }, () => floodVideo(server.port, { bytes: 64 * MIB, fileFirst }));
    const answers = await Promise.all(videos);
    const grown = (await peakResidentBytes(server.pid)) - idle;
    console.info(`grown by ${Math.round(grown / MIB)} MiB, file first: ${String(fileFirst)}`);
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 16 }, () => 201));
    expect(grown).toBeLessThanOrEqual(64 * MIB);
  });
});

describe(`10,000 requests aborted at random offsets (TEST_SEED=${SEED})`, () => {
  it('leave no descriptor, no temporary file and no stored byte', { timeout: 200_000 }, async () => {
    const dataDir = await newFolder();
    const server = await startProcess([
      '--data-dir',
      dataDir,
      '--durability',
      'none',
      '--spool-memory',
      '16KiB',
    ]);
    const dice = diceOf(SEED);
    const abort = (n: number): Promise<void> =>
      floodAndReset(
        server.port,
        { fileId: `aborted-${n % 50}`, index: 0, total: 2, bytes: 128 * KIB, fileFirst: n % 2 === 0 },
        (wholeBytes) => dice.between(1, wholeBytes - 1),
      );
    const abortMany = async (from: number, count: number): Promise<void> => {
      for (let n = from; n < from + count; n += 20)
        await Promise.all(Array.from({ length: 20 }, (_, i) => abort(n + i)));
    };
    await abortMany(0, 500); // So that pools and caches are as full as they get.
    await until(
      async () => (await filesIn(join(dataDir, 'bytes'))).length === 0,
      'no byte of the first 500 is left',
    );
    const descriptors = await descriptorCount(server.pid);
    await abortMany(500, 9_500);
    await until(
      async () => (await descriptorCount(server.pid)) <= descriptors,
      'no descriptor more than before',
    );
    await until(async () => (await filesIn(join(dataDir, 'bytes'))).length === 0, 'no byte is left');
    await until(
      async () => (await filesIn(join(dataDir, 'spool'))).length === 0,
      'no temporary file is left',
    );
    expect(await filesIn(join(dataDir, 'ledgers'))).toEqual([]);
    expect((await flood(server.port, { fileId: 'after', index: 0, total: 2, bytes: 10 })).status).toBe(200);
  });
});

it('temporary files lie in the data folder: no other file system is needed, and none is crossed', async () => {
  const nowhere = { TMPDIR: '/nowhere', TMP: '/nowhere', TEMP: '/nowhere' };
  const server = await startProcess(['--data-dir', await newFolder(), '--spool-memory', '0'], nowhere);
  const chunk = { fileId: 'spooled', total: 2, bytes: 3 * MIB, fileFirst: true };
  for (const index of [0, 1]) expect((await flood(server.port, { ...chunk, index })).status).toBe(200);
  const shown = await fetch(`${server.adminUrl}/uploads/spooled?digest=sha256`);
  expect(await shown.json()).toMatchObject({ completed: true, sha256: floodDigest([3 * MIB, 3 * MIB]) });
  expect(server.stderr()).toBe('');
});

describe('a file of the most bytes there may be', () => {
  it(
    'is refused at the byte beyond 5 GiB with an answer that can be read, completes without it, and finalises at once',
    { timeout: 400_000 },
    async () => {
      const server = await startProcess(['--data-dir', await newFolder(), '--durability', 'none']);
      const sizes = Array.from({ length: 80 }, () => 64 * MIB);
      const send = (index: number, bytes: number): ReturnType<typeof flood> =>
        flood(server.port, { fileId: 'largest', index, total: sizes.length, bytes });
      for (let index = 0; index < sizes.length - 1; index += 1) {
        expect((await send(index, 64 * MIB)).status).toBe(200);
      }
      const beyond = await send(sizes.length - 1, 64 * MIB + 1);
      expect(beyond.status).toBe(413);
      expect(JSON.parse(beyond.text)).toMatchObject({
        error: 'upload_too_large',
        details: { maxBytes: 5 * GIB, currentSize: 5 * GIB - 64 * MIB },
      });
      expect(await send(sizes.length - 1, 64 * MIB)).toMatchObject({
        status: 200,
        text: expect.stringContaining('Upload complete'),
      });

      const begun = performance.now();
      const finalised = await fetch(`${server.url}/media/videos`, {
        method: 'POST',
        headers: { 'x-api-key': 'k', 'content-type': 'application/json' },
        body: JSON.stringify({ fileId: 'largest', platforms: ['youtube'] }),
      });
      const tookMs = performance.now() - begun;
      const { data } = (await finalised.json()) as { data: { id: string } };
      expect(finalised.status).toBe(201);
      console.info(`finalised 5 GiB in ${Math.round(tookMs)} ms`);
      expect(tookMs).toBeLessThan(1_000); // It is a move, whatever the size: the bound is the issue's own.
      const shown = await fetch(`${server.adminUrl}/media/${data.id}?digest=sha256`, {
        headers: { 'x-api-key': 'k' },
      });
      expect(await shown.json()).toMatchObject({ bytes: 5 * GIB, sha256: floodDigest(sizes) });
    },
  );
});

describe('start-up', () => {
  it(
    'reads no stored upload: thousands of them, and a damaged one, do not matter',
    { timeout: 60_000 },
    async () => {
      const dataDir = await newFolder();
      for (let n = 0; n < 4_000; n += 1) {
        const path = join(
          dataDir,
          'ledgers/uploads/public',
          (n % 256).toString(16).padStart(2, '0'),
          `${n}.log`,
        );
        if (n < 256) await mkdir(dirname(path), { recursive: true });
        await writeFile(path, 'not a ledger\nat all\n');
      }
      const server = await startProcess(['--data-dir', dataDir]);
      expect((await flood(server.port, { fileId: 'new', index: 0, total: 2, bytes: 10 })).status).toBe(200);
      expect(server.stderr()).toBe('');
    },
  );
});

describe('in one process', () => {
  it('100 servers share nothing', { timeout: 120_000 }, async () => {
    const servers = await Promise.all(Array.from({ length: 100 }, () => startServer()));
    try {
      expect(new Set(servers.map(({ url }) => url)).size).toBe(100);
      const [first] = servers;
      await flood(Number(new URL(first?.url ?? '').port), { fileId: 'mine', index: 0, total: 1, bytes: 10 });
      const found = await Promise.all(servers.map((server) => server.uploads.list()));
      expect(found.map((uploads) => uploads.length)).toEqual([1, ...Array.from({ length: 99 }, () => 0)]);
      expect(servers.map((server) => server.journal.count())).toEqual([
        1,
        ...Array.from({ length: 99 }, () => 0),
      ]);
    } finally {
      await Promise.all(servers.map((server) => server.close()));
    }
  });

  it('closing does not wait for stalled connections', async () => {
    const server = await startServer();
    const port = Number(new URL(server.url).port);
    const stalled = Array.from({ length: 20 }, (_, n) => {
      const socket = connect({ port, host: '127.0.0.1' }).on('error', () => undefined);
      const head = `POST /media/chunks HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n`;
      socket.write(
        n % 2 === 0 ? head : `${head}--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nbytes`,
      );
      return new Promise<void>((resolve) => socket.once('close', () => resolve()));
    });
    await until(async () => (await fetch(`${server.adminUrl}/ready`)).ok, 'the server answers beside them');
    const begun = performance.now();
    await server.close();
    // 200 ms are promised; a busy machine may be late with its timers.
    expect(performance.now() - begun).toBeLessThan(1_000);
    await Promise.all(stalled);
  });
});

describe('the command', () => {
  it.each([
    [['serve', '--prot', '1'], {}, '--prot'],
    [['serve', '--port', 'many'], {}, '--port'],
    [['serve'], { XENONFLARE_MOCK_PROT: '1' }, 'XENONFLARE_MOCK_PROT'],
    [['serve'], { XENONFLARE_MOCK_MAX_FILE_SIZE: 'big' }, 'XENONFLARE_MOCK_MAX_FILE_SIZE'],
    [['serve', '--config', '/does/not/exist.json'], {}, '/does/not/exist.json'],
    [['sevre'], {}, 'sevre'],
  ])('%j with %j exits with 2 and names what it cannot use', async (argv, environment, named) => {
    const { code, stderr, stdout } = await runToEnd(argv, environment);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(named);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('a port or a data folder that is taken exits with 2 and names it and its holder', async () => {
    const dataDir = await newFolder();
    const server = await startProcess(['--data-dir', dataDir]);
    const port = await runToEnd(['serve', '--storage', 'memory', '--port', String(server.port)]);
    expect([port.code, port.stderr]).toEqual([
      2,
      expect.stringContaining(`127.0.0.1:${server.port} is in use`),
    ]);
    const folder = await runToEnd(['serve', '--port', '0', '--data-dir', dataDir]);
    expect([folder.code, folder.stderr]).toEqual([2, expect.stringContaining(`process ${server.pid}`)]);
  });

  it('SIGTERM ends it with 0; piped, stdout has carried exactly the ready line', async () => {
    const server = await startProcess(['--data-dir', await newFolder()]);
    server.signal('SIGTERM');
    expect(await server.exited).toEqual({ code: 0, signal: null });
    expect(server.stdout().trim().split('\n')).toHaveLength(1);
    expect(JSON.parse(server.stdout())).toMatchObject({ event: 'ready', url: server.url, pid: server.pid });
  });
});
