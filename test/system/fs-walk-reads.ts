// system/fs-walk-reads.ts: calls to the disk fail that only read: those of a start, and those of content on its way to a client.
// This must hold (rules D2, D5):
//    a start succeeds or says what is wrong with the data folder; a later start, when the disk works again, has everything;
//    content comes whole, or is refused, or its connection is cut. It never comes otherwise, and the next time it comes whole.
//
// The failures are those of fs-walk-suite.ts.
import { expect } from 'vitest';
import { BYTES, direct, entryAndHalf, HALF, KEY, READ_ERRORS } from './fs-walk-kinds.ts';
import { failuresOf, holdsEntries, type Walk, type Walked } from './fs-walk-suite.ts';
import { openTestServer, sizeOf, status, temporaryFolder, type TestServer } from '../helpers/app.ts';
import { contentBytes } from '../helpers/disk.ts';
import { disk, type Failure } from '../helpers/failing-fs.ts';
import { diceOf } from '../helpers/seed.ts';

/** More than the server checks before its answer begins, so the answer can be cut. */
const LONG = Buffer.alloc(8 * 1024 * 1024 + 300_000, 'a long content ');

interface Start {
  readonly errors: readonly string[];
  /** What else is done of it while calls fail. */
  readonly look: (server: TestServer) => Promise<string>;
}

const STARTS: readonly Start[] = [
  { errors: ['ENOSPC', 'EDQUOT'], look: () => Promise.resolve('started') },
  { errors: READ_ERRORS, look: firstStatus },
];

export async function walkStarts({ order, sample, pairs, seed }: Walk): Promise<Walked> {
  const dataDir = await temporaryFolder();
  const open = () => openTestServer({ storage: 'disk', dataDir, chunkOrder: order });
  const first = await open();
  await entryAndHalf(first, 'f');
  await first.close();
  const stored = contentBytes(dataDir);
  const dice = diceOf(seed);
  let walked = { cases: 0, faults: 0 };
  for (const start of STARTS) {
    const opened: TestServer[] = [];
    const calls = await disk.counting(async () => {
      opened.push(await open());
      for (const server of opened) await start.look(server);
    });
    for (const server of opened) await server.close();
    for (const failure of failuresOf(calls, { sample, pairs, dice, errors: start.errors })) {
      const where = await startFailing(failure, start, open);
      walked = { cases: walked.cases + 1, faults: walked.faults + disk.failedCalls().length };
      const next = await open();
      expect(await sizeOf(next, 'f', KEY), where).toBe(HALF);
      await holdsEntries(next, 1, where);
      expect(contentBytes(dataDir), where).toBe(stored);
      await next.close();
    }
  }
  return walked;
}

/** @returns what happened, for the reader of a failed test */
async function startFailing(
  failure: Failure,
  { look }: Start,
  open: () => Promise<TestServer>,
): Promise<string> {
  const { server, told } = await disk.failing(failure, () => started(open, look));
  const where = `a start: ${JSON.stringify(failure)} at ${disk.failedCalls().join(', ')} -> ${told}`;
  if (server === null) expect(told, where).toMatch(/^DataFolderUnusable: --data-dir .+ \(E[A-Z]+\)$/);
  server?.takeErrors();
  await server?.close();
  return where;
}

async function started(
  open: () => Promise<TestServer>,
  look: Start['look'],
): Promise<{ server: TestServer | null; told: string }> {
  const server = await open().catch((error: unknown) => String(error));
  return typeof server === 'string' ? { server: null, told: server } : { server, told: await look(server) };
}

/** The first request to an upload: the server now reads it from the disk. */
async function firstStatus(server: TestServer): Promise<string> {
  const { status: code, text, body } = await status(server, 'f', { key: KEY });
  const told = `started, status ${code} ${text}`;
  expect([200, 500, 503], told).toContain(code);
  if (code === 200) expect(body.data, told).toMatchObject({ exists: true, currentSize: HALF });
  return told;
}

interface Reading {
  readonly name: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly expected: Buffer;
}

export async function walkReads({ order, sample, pairs, seed }: Walk): Promise<Walked> {
  const server = await openTestServer({ storage: 'disk', chunkOrder: order });
  await entryAndHalf(server, 'f');
  const { id } = (await direct(server, LONG)).body.data;
  const dice = diceOf(seed);
  let walked = { cases: 0, faults: 0 };
  for (const reading of readingsOf(id)) {
    const calls = await disk.counting(() => read(server, reading));
    expect(calls, reading.name).toBeGreaterThan(0);
    for (const failure of failuresOf(calls, { sample, pairs, dice, errors: READ_ERRORS })) {
      const seen = await disk.failing(failure, () => read(server, reading));
      const where = `${reading.name}: ${JSON.stringify(failure)} at ${disk.failedCalls().join(', ')} -> ${seen}`;
      expect(['whole', 'cut', '500', '503'], where).toContain(seen);
      expect(await read(server, reading), `${where}, then`).toBe('whole');
      walked = { cases: walked.cases + 1, faults: walked.faults + disk.failedCalls().length };
    }
  }
  server.takeErrors();
  return walked;
}

function readingsOf(longId: string): Reading[] {
  const path = `/__admin/media/${longId}/content`;
  return [
    { name: 'a short content', path: '/__admin/uploads/f/content', expected: BYTES.subarray(0, HALF) },
    { name: 'a long content', path, expected: LONG },
    {
      name: 'a range',
      path,
      headers: { range: 'bytes=200000-899999' },
      expected: LONG.subarray(200_000, 900_000),
    },
  ];
}

/** `whole`; `cut`: the client noticed it by its connection; `other bytes`; or the status that refused the request. */
async function read(server: TestServer, { path, headers = {}, expected }: Reading): Promise<string> {
  const response = await fetch(new URL(path, server.url), { headers: { ...headers, 'X-API-Key': KEY } });
  const bytes = await response.arrayBuffer().catch(() => null);
  if (bytes === null) return 'cut';
  if (response.status !== 200 && response.status !== 206) return String(response.status);
  return Buffer.from(bytes).equals(expected) ? 'whole' : 'other bytes';
}
