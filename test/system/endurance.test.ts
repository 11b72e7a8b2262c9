// What must not wear out: room on the disk, damage to other people's uploads, memory after many broken requests
// (deep/endurance.test.ts: after thousands), a program that wants to end.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startServer } from '../../src/index.ts';
import { placeOf } from '../../src/uploads/storage-key.ts';
import { brokenOffRequests } from './endurance-suite.ts';
import { flipByte } from '../helpers/damage.ts';
import { flood, floodDigest, stalledAfter } from '../helpers/flood.ts';
import { startProcess, type ServerProcess } from '../helpers/process.ts';
import { canMount, mountSmallDisk } from '../helpers/small-disk.ts';

const run = promisify(execFile);
const KIB = 1024;
const MIB = 1024 * KIB;
const POLLING = { timeout: 60_000, interval: 50 };

let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'xenonflare-mock-endurance-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

interface Addresses {
  readonly url: string;
  readonly adminUrl: string | null;
}

async function sizeOf({ url }: Addresses, fileId: string): Promise<number> {
  const answer = await fetch(`${url}/media/chunks?fileId=${fileId}`);
  return ((await answer.json()) as { data: { currentSize: number } }).data.currentSize;
}

async function storedDigest({ adminUrl }: Addresses, fileId: string): Promise<string> {
  const answer = await fetch(`${adminUrl}/uploads/${fileId}?digest=sha256`);
  return ((await answer.json()) as { sha256: string }).sha256;
}

/** Uploads that have begun. */
async function unfinished({ adminUrl }: Addresses): Promise<number> {
  const answer = await fetch(`${adminUrl}/metrics`);
  return Number(/^xenonflare_mock_open_uploads (\d+)$/m.exec(await answer.text())?.[1]);
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

describe('when there is no more room', () => {
  const chunk = { fileId: 'f', total: 2, bytes: 600 * KIB };

  /** Both orders of the parts are answered with 507, and nothing has changed. With room again, the upload continues to its end. */
  async function expectRefusalThenEnd(
    server: ServerProcess,
    folder: string,
    makeRoom: () => Promise<unknown>,
  ): Promise<void> {
    for (const fileFirst of [true, false]) {
      const refused = await flood(server.port, { ...chunk, index: 1, fileFirst });
      expect(refused.status, refused.text).toBe(507);
      expect(JSON.parse(refused.text)).toMatchObject({ error: 'insufficient_storage' });
      expect(await sizeOf(server, 'f')).toBe(chunk.bytes);
      await expect.poll(() => filesIn(join(folder, 'spool')), POLLING).toEqual([]);
    }
    await makeRoom();
    const answer = await flood(server.port, { ...chunk, index: 1 });
    expect([answer.status, answer.text]).toEqual([200, expect.stringContaining('Upload complete')]);
    expect(await storedDigest(server, 'f')).toBe(floodDigest([chunk.bytes, chunk.bytes]));
    expect(server.stderr()).not.toMatch(/"level":[56]0/);
  }

  it.skipIf(!canMount)(
    'on a real disk (needs the right to mount one): 507, and the upload goes on when there is (C16)',
    async () => {
      const disk = await mountSmallDisk(4 * MIB);
      try {
        const folder = join(disk.path, 'data');
        const server = await startProcess(['--data-dir', folder, '--spool-memory', '0']);
        expect((await flood(server.port, { ...chunk, index: 0 })).status).toBe(200);
        const filler = await disk.fill(300 * KIB);
        await expectRefusalThenEnd(server, folder, () => rm(filler));
        await server.kill();
      } finally {
        await disk.unmount();
      }
    },
  );

  it('of what is allowed: 507, and the upload goes on when another was deleted (C16)', async () => {
    const quota = ['--max-stored-bytes', `${1_300 * KIB}`, '--spool-memory', '0'];
    const server = await startProcess(['--data-dir', dataDir, ...quota]);
    for (const fileId of ['f', 'other'])
      expect((await flood(server.port, { ...chunk, fileId, index: 0 })).status).toBe(200);
    await expectRefusalThenEnd(server, dataDir, () =>
      fetch(`${server.adminUrl}/uploads/other`, { method: 'DELETE' }),
    );
  });
});

describe('what is stored already', () => {
  it.skipIf(process.platform === 'win32')(
    'is not read at start-up: ledgers that would never come to their end do not matter (D2)',
    async () => {
      const folder = join(dataDir, 'ledgers/uploads/public');
      for (let n = 0; n < 2_000; n += 1) {
        const path = join(folder, (n % 256).toString(16).padStart(2, '0'), `${n}.log`);
        if (n < 256) await mkdir(dirname(path), { recursive: true });
        await writeFile(path, 'not a ledger\nat all\n');
      }
      // Opening a pipe that nobody writes to waits for ever. If as many wait as there are threads, nothing else can run.
      await run(
        'mkfifo',
        ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => join(folder, '00', `${name}.log`)),
      );
      const server = await startProcess(['--data-dir', dataDir]);
      expect((await flood(server.port, { fileId: 'new', index: 0, total: 2, bytes: 10 })).status).toBe(200);
      expect(server.stderr()).toBe('');
    },
  );

  it('and damaged is refused and stays as it is, while every other upload goes on (D2)', async () => {
    const flags = ['--data-dir', dataDir];
    const chunk = { total: 2, bytes: 1_000 };
    const before = await startProcess(flags);
    for (const fileId of ['damaged', 'well'])
      expect((await flood(before.port, { ...chunk, fileId, index: 0 })).status).toBe(200);
    await before.kill();
    const { namespace, name } = placeOf('public', 'damaged');
    await flipByte(join(dataDir, 'ledgers/uploads', namespace, name.slice(0, 2), `${name}.log`), 30);
    const server = await startProcess(flags);
    for (let times = 0; times < 2; times += 1) {
      const refused = await flood(server.port, { ...chunk, fileId: 'damaged', index: 1 });
      expect(refused.status).toBe(500);
      expect(JSON.parse(refused.text)).toMatchObject({ error: 'upload_damaged' });
    }
    expect((await flood(server.port, { ...chunk, fileId: 'well', index: 1 })).status).toBe(200);
    expect(await sizeOf(server, 'well')).toBe(2_000);
    expect(await filesIn(join(dataDir, 'bytes'))).toHaveLength(2);
  });
});

brokenOffRequests({ count: 200, growthMib: 4 });

describe('many requests', () => {
  it('do not hold up one that began alone: it goes on with the smaller share of memory that is left to it', async () => {
    const server = await startServer();
    const port = Number(new URL(server.url).port);
    const chunk = { index: 0, total: 1, bytes: 900 * KIB };
    const first = stalledAfter(port, { ...chunk, fileId: 'first' }, 100 * KIB);
    await expect.poll(() => unfinished(server), POLLING).toBe(1);
    const others = Array.from({ length: 300 }, (_, n) =>
      stalledAfter(port, { ...chunk, fileId: `other-${n}` }, 1_000),
    );
    await expect.poll(() => unfinished(server), POLLING).toBe(301);
    expect((await first.goOn()).status).toBe(200);
    for (const other of others) other.reset();
    await server.close();
  });
});

it('a program that has closed its servers ends by itself, whatever was stalled', async () => {
  const script = `
    import { once } from 'node:events';
    import { connect } from 'node:net';
    import { startServer } from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)};
    const servers = await Promise.all([1, 2, 3].map(() => startServer()));
    const head = 'POST /media/chunks HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 1000\\r\\n' +
      'Content-Type: multipart/form-data; boundary=b\\r\\n\\r\\n';
    for (const { url } of servers) {
      for (const text of [' ', 'POST /media', head, head + '--b\\r\\n']) {
        const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1' });
        socket.on('error', () => undefined).resume(); // If the answer stayed unread, its end would not be noticed.
        await once(socket, 'connect');
        socket.write(text);
      }
    }
    await Promise.all(servers.map((server) => server.close()));
    process.on('exit', () => console.log('left:', ...process.getActiveResourcesInfo().filter((one) => one.startsWith('TCP'))));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const patience = setTimeout(() => child.kill('SIGKILL'), 60_000);
  let said = '';
  child.stdout.on('data', (text: Buffer) => (said += text.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(patience);
  expect([code, said.trim()]).toEqual([0, 'left:']);
});
