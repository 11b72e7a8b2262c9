// ending.test.ts: a process that is told to end does end, in every state (D4). Real processes. A thread of the process hangs in a
// named pipe, as it would hang in a disk that does not answer.
import { openSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventually, sendChunk, temporaryFolder } from '../helpers/app.ts';
import { makeFifo, someoneReads } from '../helpers/fifos.ts';
import { beginProcess, startProcess, type ServerProcess } from '../helpers/process.ts';
import { openConnection, requestBytes } from '../helpers/raw.ts';

/** The time that rule D4 allows after the grace. */
const BEYOND_GRACE_MS = 2_000;
/** Other delays of the process on a busy machine. With it the sum is still less than the default grace, 10 s. */
const LENIENCE_MS = 7_000;

type Told = Pick<ServerProcess, 'exited' | 'signal'>;

async function msToEnd(server: Told, signal: NodeJS.Signals = 'SIGTERM'): Promise<number> {
  const told = performance.now();
  server.signal(signal);
  await server.exited;
  return performance.now() - told;
}

/** Makes reading an upload hang: its ledger becomes a pipe that nobody writes to. Resolves to its path. */
async function ledgerThatHangs(dataDir: string): Promise<string> {
  const ledgers = join(dataDir, 'ledgers', 'uploads');
  const names = await readdir(ledgers, { recursive: true, withFileTypes: true });
  const file = names.find((entry) => entry.isFile());
  if (file === undefined) throw new Error('there is no ledger');
  const path = join(file.parentPath, file.name);
  await rm(path);
  return makeFifo(path);
}

async function folderWithUpload(): Promise<string> {
  const dataDir = await temporaryFolder();
  const server = await startProcess(['--data-dir', dataDir]);
  expect((await sendChunk(server, { fileId: 'f', index: 0, total: 2, key: 'k' })).status).toBe(200);
  await server.kill();
  return dataDir;
}

describe('told to end while it starts (D4)', () => {
  it('by one signal: ends within 2 s, though its start hangs, without a ready line', async () => {
    const rules = await makeFifo();
    const server = beginProcess(['--storage', 'memory', '--rules', rules]);
    await someoneReads(rules);
    expect(await msToEnd(server)).toBeLessThan(BEYOND_GRACE_MS + LENIENCE_MS);
    expect(server.stdout()).toBe('');
  });

  it('while its disk hangs: ends, and the next one takes the folder over', async () => {
    const dataDir = await folderWithUpload();
    const ledger = await ledgerThatHangs(dataDir);
    const server = beginProcess(['--data-dir', dataDir, '--seed', 's']);
    await someoneReads(ledger);
    expect(await msToEnd(server)).toBeLessThan(BEYOND_GRACE_MS + LENIENCE_MS);
    await rm(ledger);
    await startProcess(['--data-dir', dataDir]);
  });

  it('where nothing hangs: gives the folder back and ends with 0, or was not there yet', async () => {
    const dataDir = await temporaryFolder();
    for (let starts = 0; starts < 3; starts += 1) {
      const server = beginProcess(['--data-dir', dataDir]);
      await eventually(
        () => readdir(dataDir),
        (names) => names.includes('lock'),
      );
      server.signal('SIGTERM');
      expect(await server.exited).toEqual({ code: 0, signal: null });
      expect(await readdir(dataDir)).not.toContain('lock');
    }
  });
});

describe('told to end while a disk hangs (D4)', () => {
  async function hanging(grace: string): Promise<ServerProcess> {
    const dataDir = await folderWithUpload();
    const ledger = await ledgerThatHangs(dataDir);
    const server = await startProcess(['--data-dir', dataDir, '--grace', grace]);
    // The answer never comes: the process ends first.
    sendChunk(server, { fileId: 'f', index: 1, total: 2, key: 'k' }).catch(() => undefined);
    await someoneReads(ledger);
    return server;
  }

  it('ends within the grace and 2 s', async () => {
    const server = await hanging('500ms');
    const ms = await msToEnd(server);
    expect(ms).toBeGreaterThan(500);
    expect(ms).toBeLessThan(500 + BEYOND_GRACE_MS + LENIENCE_MS);
  });

  it('ends at once when it is told a second time', async () => {
    const server = await hanging('1h');
    server.signal('SIGTERM');
    await eventually(
      async () => (await fetch(`${server.adminUrl}/ready`)).status,
      (status) => status === 503,
    );
    expect(await msToEnd(server)).toBeLessThan(LENIENCE_MS);
  });
});

describe('told to end while clients are there (D4)', () => {
  it('ends with 0 although an event stream is open and somebody waits for an exchange', async () => {
    const server = await startProcess(['--storage', 'memory']);
    const stream = await fetch(`${server.adminUrl}/events`);
    expect(stream.status).toBe(200);
    const waiting = await openConnection(server.port);
    const wait = JSON.stringify({ count: 1, timeoutMs: 60_000 });
    await waiting.write(requestBytes('POST /__admin/requests/wait', {}, Buffer.from(wait)));
    expect(await msToEnd(server)).toBeLessThan(BEYOND_GRACE_MS + LENIENCE_MS);
    expect(await server.exited).toEqual({ code: 0, signal: null });
    await stream.body?.cancel().catch(() => undefined);
  });

  it('ends with 0 after its grace although a client goes on sending, slowly', async () => {
    const server = await startProcess(['--storage', 'memory', '--grace', '500ms']);
    const connection = await openConnection(server.port);
    await connection.write(
      'POST /media/chunks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n' +
        'Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n',
    );
    const sending = setInterval(() => void connection.write('x').catch(() => undefined), 20);
    try {
      expect(await msToEnd(server)).toBeLessThan(500 + BEYOND_GRACE_MS + LENIENCE_MS);
      expect(await server.exited).toEqual({ code: 0, signal: null });
    } finally {
      clearInterval(sending);
    }
  });

  it('a terminal that is closed ends it like SIGTERM', async () => {
    const server = await startProcess(['--storage', 'memory']);
    await msToEnd(server, 'SIGHUP');
    expect(await server.exited).toEqual({ code: 0, signal: null });
  });
});

describe('a defect', () => {
  /** The server itself never sends this signal. */
  const DEFECT = `data:text/javascript,process.on('SIGWINCH', () => { throw new Error('a defect of the test') })`;

  it.each(['a pipe that is read', '/dev/full'])(
    'is told of once in the log and ends the server with 1; stderr is %s',
    async (kind) => {
      const stderr = kind === '/dev/full' ? openSync(kind, 'w') : 'pipe';
      const flags = ['--storage', 'memory', '--grace', '1h'];
      const server = await startProcess(flags, { NODE_OPTIONS: `--import="${DEFECT}"` }, stderr);
      expect(await msToEnd(server, 'SIGWINCH')).toBeLessThan(BEYOND_GRACE_MS + LENIENCE_MS);
      expect(await server.exited).toEqual({ code: 1, signal: null });
      if (stderr !== 'pipe') return;
      const [line, ...others] = server.stderr().trim().split('\n');
      expect(JSON.parse(line ?? '')).toMatchObject({ level: 60, err: { message: 'a defect of the test' } });
      expect(others).toEqual([]);
    },
  );
});
