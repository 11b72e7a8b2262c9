// system/fs-walk-suite.ts: every call to the disk, of every kind of request, fails before or after it did its work: once, twice in
// a row, twice apart, or permanently. Then the disk works again. Whatever failed, this must hold (rules C2, C3, C16, D1):
//    what was acknowledged is there with its bytes, also after a restart;
//    a refusal that says that nothing was stored is true; the request is accepted when it is sent again, without a restart;
//    nothing is damaged; each content has one entry, with all its bytes.
//
// The calls are not listed here. They are counted in a run without failures, so a new call is tested as soon as it exists. A file
// that uses this suite mocks node:fs and node:fs/promises with helpers/failing-fs.ts. Starts and reads: fs-walk-reads.ts.
import { expect } from 'vitest';
import { BYTES, ERRORS, KEY, KINDS, type Kind } from './fs-walk-kinds.ts';
import { contentBytes } from '../helpers/disk.ts';
import { disk, type Failure } from '../helpers/failing-fs.ts';
import { ask, openTestServer, sizeOf, temporaryFolder, type TestServer } from '../helpers/app.ts';
import { diceOf, type Dice } from '../helpers/seed.ts';

/** How many more calls there may be than without a failure: they undo what was done. */
const UNDOING = 8;

export interface Walk {
  readonly order: 'sequential' | 'any';
  /** How many failures of each kind, and how many pairs of calls that fail apart from each other. */
  readonly sample: number;
  readonly pairs: number;
  readonly seed: number;
  /** All of them when it does not say. */
  readonly kinds?: readonly Kind[];
}

export interface Walked {
  readonly cases: number;
  readonly faults: number;
}

export async function walk({ order, sample, pairs, seed, kinds = KINDS }: Walk): Promise<Walked> {
  const dice = diceOf(seed);
  const dataDir = await temporaryFolder();
  let server = await openTestServer({ storage: 'disk', dataDir, chunkOrder: order });
  let walked = { cases: 0, faults: 0 };
  for (const kind of kinds) {
    await kind.before(server, 'counted');
    const calls = await disk.counting(() => kind.request(server, 'counted'));
    expect(calls, kind.name).toBeGreaterThan(0);
    await reset(server);
    for (const failure of failuresOf(calls, { sample, pairs, dice, errors: kind.errors ?? ERRORS })) {
      server = await runCase(server, { kind, failure, order, dataDir });
      walked = { cases: walked.cases + 1, faults: walked.faults + disk.failedCalls().length };
    }
  }
  return walked;
}

interface Failing extends Pick<Walk, 'sample' | 'pairs'> {
  readonly dice: Dice;
  readonly errors: readonly string[];
}

/** In a sample each call fails once before any call fails for a second time. */
export function failuresOf(calls: number, { sample, pairs, dice, errors }: Failing): Failure[] {
  const ways = dice
    .shuffled(Array.from({ length: calls }, (_, index) => index + 1))
    .map((call) =>
      dice.shuffled(
        errors.flatMap((code) =>
          ([1, 2, Number.POSITIVE_INFINITY] as const).flatMap((times) =>
            [false, true].map((isAfter) => ({ call, code, times, isAfter })),
          ),
        ),
      ),
    );
  const rounds = Array.from({ length: ways[0]?.length ?? 0 }, (_, round) =>
    ways.flatMap((way) => way.slice(round, round + 1)),
  );
  return [
    ...rounds.flat().slice(0, sample),
    ...Array.from({ length: pairs }, () => ({ ...pairOf(calls, dice), code: dice.pick(errors) })),
  ];
}

function pairOf(calls: number, dice: Dice): Omit<Failure, 'code'> {
  const call = dice.between(1, calls);
  const also = dice.between(call + 2, calls + UNDOING);
  return { call, times: 1, also, isAfter: dice.chance(0.5) };
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
  const size = await sizeOf(server, 'f', KEY);
  expect(isDone ? [kind.sizes[1]] : refusedSizes(kind, answer.text), where).toContain(size);
  const again = await kind.request(server, 'f');
  const isGone = kind.removal === 'once' && size === null;
  const isTaken = isGone ? again.status === 404 : again.status < 300;
  expect(isTaken, `${where}, then ${again.status} ${again.text}`).toBe(true);
  server.takeErrors();
  await server.close();
  const next = await openTestServer({ storage: 'disk', dataDir, chunkOrder: order });
  await holdsUpload(next, kind, where);
  await holdsEntries(next, isDone && kind.isAlwaysNew === true ? 2 : kind.entries, where);
  await reset(next);
  if (kind.isCollected === undefined)
    expect(contentBytes(dataDir), `${where}: bytes left behind`).toBe(leftBefore);
  return next;
}

/** Which sizes the status may report when the request was refused. */
function refusedSizes({ sizes, removal, ...kind }: Kind, text: string): readonly (number | null)[] {
  if (kind.refusedSizes !== undefined) return kind.refusedSizes(text);
  return removal === undefined ? [sizes[0]] : sizes;
}

async function holdsUpload(server: TestServer, { sizes }: Kind, where: string): Promise<void> {
  const [, size] = sizes;
  expect(await sizeOf(server, 'f', KEY), `${where}, after a restart`).toBe(size);
  if (size === null) return;
  const content = await ask(server, '/__admin/uploads/f/content', { key: KEY });
  const isRight = content.text === BYTES.subarray(0, size).toString();
  expect({ status: content.status, isRight }, where).toEqual({ status: 200, isRight: true });
}

export async function holdsEntries(server: TestServer, expected: number, where: string): Promise<void> {
  const listed = JSON.parse((await ask(server, '/__admin/media', { key: KEY })).text) as {
    media: { id: string }[];
  };
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
