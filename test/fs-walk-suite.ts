// fs-walk-suite.ts: every call to the disk of every kind of request fails, before or after it did its work, once or for good; then the
// disk recovers. What must hold, whatever failed (rules C2, C3, C16, D1):
//
//   what was acknowledged is there, with its bytes, after a restart, too;
//   a refusal that says that nothing was stored is true; the request is taken when it is sent again, without a restart;
//   nothing is damaged; of each content there is one entry, with all its bytes.
//
// The calls are not listed here: they are counted on a run that fails nowhere, so a new one is walked as soon as it exists.
// A file that uses it mocks node:fs and node:fs/promises with helpers/failing-fs.ts.
import { expect } from 'vitest';
import { contentBytes } from './helpers/disk.ts';
import { disk, type Failure } from './helpers/failing-fs.ts';
import {
  ask,
  finalize,
  openTestServer,
  sendAll,
  sendChunk,
  sizeOf,
  temporaryFolder,
  type Answer,
  type TestServer,
} from './helpers/app.ts';
import { diceOf } from './helpers/seed.ts';

const KEY = 'k';
const BYTES = Buffer.alloc(9_000, 'walked ');
const HALF = BYTES.length / 2;

interface Kind {
  readonly name: string;
  readonly before: (server: TestServer, fileId: string) => Promise<unknown>;
  readonly request: (server: TestServer, fileId: string) => Promise<Answer>;
  /** What the status says before it, and after it. `entry`: it makes one. */
  readonly sizes: readonly [number | null, number | null];
  readonly entry?: true;
  /** Removes: when it fails, what it removes is there or is not. */
  readonly isRemoval?: true;
}

const part = (index: number) => (server: TestServer, fileId: string) =>
  sendChunk(server, {
    fileId,
    index,
    total: 2,
    key: KEY,
    bytes: BYTES.subarray(index * HALF, (index + 1) * HALF),
  });
const whole = (server: TestServer, fileId: string): Promise<void> =>
  sendAll(server, { fileId, content: BYTES, total: 2, key: KEY });
const nothing = (): Promise<void> => Promise.resolve();

function direct(server: TestServer): Promise<Answer> {
  const body = new FormData();
  body.set('file', new Blob([BYTES]), 'a.mp4');
  body.set('platforms', '["instagram"]');
  return ask(server, '/media/videos', { method: 'POST', key: KEY, body });
}

export const KINDS: readonly Kind[] = [
  { name: 'a new upload', before: nothing, request: part(0), sizes: [null, HALF] },
  { name: 'the next chunk', before: part(0), request: part(1), sizes: [HALF, HALF * 2] },
  { name: 'a direct upload', before: nothing, request: direct, sizes: [null, null], entry: true },
  {
    name: 'a finalise',
    before: whole,
    request: (server, fileId) => finalize(server, fileId, { key: KEY }),
    sizes: [HALF * 2, HALF * 2],
    entry: true,
  },
  {
    name: 'a deletion',
    before: part(0),
    request: (server, fileId) => ask(server, `/__admin/uploads/${fileId}`, { method: 'DELETE', key: KEY }),
    sizes: [HALF, null],
    isRemoval: true,
  },
];

/**
 * Each stands for its kind in the table of system errors. Those after which the whole folder counts as unusable until its next
 * heartbeat are not here.
 */
const ERRORS = ['ENOSPC', 'EDQUOT', 'EIO', 'EMFILE'] as const;

export interface Walk {
  readonly order: 'sequential' | 'any';
  /** How many cases of each kind; all of them when it is not given. */
  readonly sample?: number;
  readonly seed: number;
}

/** @returns how many cases were walked */
export async function walk({ order, sample, seed }: Walk): Promise<number> {
  const dice = diceOf(seed);
  const dataDir = await temporaryFolder();
  let server = await openTestServer({ storage: 'disk', dataDir, chunkOrder: order });
  let count = 0;
  for (const kind of KINDS) {
    await kind.before(server, 'counted');
    const calls = await disk.counting(() => kind.request(server, 'counted'));
    expect(calls, kind.name).toBeGreaterThan(0);
    await reset(server);
    const all = failuresOf(calls);
    for (const failure of sample === undefined ? all : dice.shuffled(all).slice(0, sample)) {
      server = await runCase(server, { kind, failure, order, dataDir });
      count += 1;
    }
  }
  return count;
}

function failuresOf(calls: number): Failure[] {
  const at = Array.from({ length: calls }, (_, index) => index + 1);
  return at.flatMap((call) =>
    ERRORS.flatMap((code) =>
      ([1, 2, Number.POSITIVE_INFINITY] as const).flatMap((times) =>
        [false, true].map((isAfter) => ({ call, code, times, isAfter })),
      ),
    ),
  );
}

interface Case {
  readonly kind: Kind;
  readonly failure: Failure;
  readonly order: Walk['order'];
  readonly dataDir: string;
}

async function runCase(server: TestServer, { kind, failure, order, dataDir }: Case): Promise<TestServer> {
  const what = `${kind.name}: ${JSON.stringify(failure)} (${order})`;
  const leftBefore = contentBytes(dataDir);
  await kind.before(server, 'f');
  const answer = await disk.failing(failure, () => kind.request(server, 'f'));
  const where = `${what} at ${disk.failedCalls().join(', ')} -> ${answer.status} ${answer.text}`;
  const isDone = answer.status < 300;
  expect([200, 201, 500, 503, 507], where).toContain(answer.status);
  if (answer.status === 507) expect(['ENOSPC', 'EDQUOT'], where).toContain(failure.code);
  // The disk works again.
  const [before, after] = kind.sizes;
  const size = await sizeOf(server, 'f', KEY);
  if (isDone) expect(size, where).toBe(after);
  else if (kind.isRemoval) expect([before, after], where).toContain(size);
  else expect(size, where).toBe(before);
  const again = await kind.request(server, 'f');
  const isGone = kind.isRemoval === true && size === null;
  expect(isGone ? 404 : again.status < 300, `${where}, then ${again.status} ${again.text}`).toBe(
    isGone ? again.status : true,
  );
  server.takeErrors();
  await server.close();
  const next = await openTestServer({ storage: 'disk', dataDir, chunkOrder: order });
  expect(await sizeOf(next, 'f', KEY), `${where}, after a restart`).toBe(after);
  await holdsEntries(next, kind, { where, isDoneTwice: isDone && kind.name === 'a direct upload' });
  await reset(next);
  // Bytes of a direct upload that could not be removed are the collector's (C15).
  if (kind.name !== 'a direct upload')
    expect(contentBytes(dataDir), `${where}: bytes left behind`).toBe(leftBefore);
  return next;
}

async function holdsEntries(
  server: TestServer,
  kind: Kind,
  { where, isDoneTwice }: { where: string; isDoneTwice: boolean },
): Promise<void> {
  const listed = JSON.parse((await ask(server, '/__admin/media', { key: KEY })).text) as {
    media: { id: string }[];
  };
  const expected = kind.entry === undefined ? 0 : isDoneTwice ? 2 : 1;
  expect(listed.media.length, `${where}: entries`).toBe(expected);
  for (const { id } of listed.media) {
    const content = await ask(server, `/__admin/media/${id}/content`, { key: KEY });
    expect({ status: content.status, isRight: content.text === BYTES.toString() }, where).toEqual({
      status: 200,
      isRight: true,
    });
  }
}

async function reset(server: TestServer): Promise<void> {
  const answer = await ask(server, '/__admin/reset', { method: 'POST', key: KEY });
  expect(answer.status, answer.text).toBe(200);
}
