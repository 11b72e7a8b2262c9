// What was acknowledged survives a power failure at any moment (C2, F6, D1, `--durability fsync`).
//
// A real server takes uploads while fs-tap.mjs records what it does with the disk. Then, for every moment of that record, folders
// are built as a disk may leave them that forgets what was not synced (power.ts). Each folder is opened and compared with what had
// been answered until then (promised.ts). TEST_SEED sets the dice.
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nameOf, readTrace, type TraceLine } from '../helpers/fs-trace.ts';
import {
  DiskHistory,
  EVERYTHING_KEPT,
  EVERYTHING_LOST,
  fateOf,
  killedAt,
  materialise,
  type Fate,
  type Tree,
} from '../helpers/power.ts';
import { Broken, checkFolder, Clients, Promises, type Plan } from '../helpers/promised.ts';
import { diceOf, SEED } from '../helpers/seed.ts';
import { startTapped, surprises } from '../helpers/tapped-server.ts';

export interface PowerBudget {
  /** How many moments of a history are tested with every fate. Each answer is tested with everything lost. */
  readonly moments: number;
  /** How many folders such a moment gets besides the two extremes. */
  readonly images: number;
  /** After how many kinds of step a process is killed, and the power fails while the next process works. */
  readonly kills: number;
}

/** What was done, and perhaps not synced yet. The next process finds it and must not take it for stored. */
const KILLED_AFTER = [
  'mkdir the data folder',
  'write-file format',
  'mkdir upload bytes: place folder',
  'create upload bytes: segment',
  'write upload bytes: segment',
  'rename spool',
  'mkdir upload ledgers: shard folder',
  'create upload ledger',
  'write upload ledger',
  'sync upload ledger',
  'mkdir entry bytes: shard folder',
  'rename upload bytes: place folder',
  'create entry ledger',
  'write entry ledger',
  'remove upload ledger',
  'remove upload bytes: place folder',
];
const FLAGS = ['--chunk-order', 'any', '--spool-memory', '0', '--media-check', 'off'];
const dice = diceOf(SEED);

let scratch: string;

function plan(fileId: string, key: string | null, sizes: readonly number[]): Plan {
  const chunks = sizes.map((size) => Buffer.alloc(size, dice.bytes(61)));
  return { fileId, key, chunks, isFileFirst: sizes.includes(LARGE) };
}

/**
 * With the file first, and more bytes than arrive at once: they are here before the server knows which upload they belong to, so
 * they are spooled.
 */
const LARGE = 150_000;
const size = (): number => dice.between(1, 20_000);
const SEQUENTIAL = plan('sequential', 'alice', [size(), size(), size()]);
const SPOOLED = plan('spooled', 'alice', [LARGE, LARGE]);
const GAP = plan('gap', 'bob', [size(), size(), size()]);
const PARALLEL = plan('parallel', null, [size(), size(), size(), size()]);
const EMPTY = plan('empty', 'bob', [0]);
const DELETED = plan('deleted', 'alice', [size(), size()]);
const EXPIRED = plan('expired', 'carol', [size(), size()]);
const EXPIRED_ENTRY = plan('expired-entry', 'carol', [size()]);
const PLANS = [SEQUENTIAL, SPOOLED, GAP, PARALLEL, EMPTY, DELETED, EXPIRED, EXPIRED_ENTRY];

async function sendInOrder(clients: Clients, of: Plan, order: readonly number[]): Promise<void> {
  for (const index of order) await must(clients.do({ kind: 'chunk', plan: of, index }));
}

async function must(answering: ReturnType<Clients['do']>): Promise<void> {
  const answer = await answering;
  expect(answer?.status, JSON.stringify(answer?.json)).toBeLessThan(300);
}

const finalize = (clients: Clients, of: Plan): Promise<void> =>
  must(clients.do({ kind: 'finalize', plan: of }));

/** Everything at once, as clients do. */
async function workload(clients: Clients): Promise<void> {
  const lives: (() => Promise<void>)[] = [
    async () => {
      await sendInOrder(clients, SEQUENTIAL, [0, 1]);
      await must(clients.do({ kind: 'status', plan: SEQUENTIAL }));
      await sendInOrder(clients, SEQUENTIAL, [2, 1]);
      await finalize(clients, SEQUENTIAL);
    },
    async () => {
      await sendInOrder(clients, SPOOLED, [0, 1]);
      await finalize(clients, SPOOLED);
      await finalize(clients, SPOOLED);
    },
    async () => {
      await sendInOrder(clients, GAP, [2, 0, 1]);
      await finalize(clients, GAP);
    },
    async () => {
      await Promise.all([0, 1, 2].map((index) => sendInOrder(clients, PARALLEL, [index])));
      await sendInOrder(clients, PARALLEL, [3]);
    },
    async () => {
      await sendInOrder(clients, EMPTY, [0]);
      await finalize(clients, EMPTY);
    },
    async () => {
      await sendInOrder(clients, DELETED, [0]);
      await must(clients.do({ kind: 'delete', plan: DELETED }));
      await sendInOrder(clients, DELETED, [0, 1]);
    },
    async () => {
      await sendInOrder(clients, EXPIRED, [0]);
      await sendInOrder(clients, EXPIRED_ENTRY, [0]);
      await finalize(clients, EXPIRED_ENTRY);
      await must(clients.do({ kind: 'expire', plans: [EXPIRED, EXPIRED_ENTRY] }));
      await sendInOrder(clients, EXPIRED, [0]);
    },
    () => must(clients.do({ kind: 'direct', key: 'bob', bytes: Buffer.alloc(size(), dice.bytes(53)) })),
  ];
  await Promise.all(dice.shuffled(lives).map((live) => live()));
}

/** As clients that come back after the server died: they ask, send everything that may be missing, and finalise. */
async function resume(clients: Clients): Promise<void> {
  const lives = PLANS.map(async (of) => {
    await must(clients.do({ kind: 'status', plan: of }));
    await sendInOrder(clients, of, [...of.chunks.keys()]);
    await finalize(clients, of);
  });
  await Promise.all(lives);
}

interface Recorded {
  readonly clients: Clients;
  readonly lines: readonly TraceLine[];
}

/** What a server does to the folder while clients do their work. */
async function record(
  root: string,
  work: (clients: Clients) => Promise<void>,
  known?: Clients,
): Promise<Recorded> {
  const trace = `${root}.trace`;
  const server = await startTapped({ root, trace }, FLAGS);
  const clients = known ?? new Clients(server);
  clients.moveTo(server);
  await work(clients);
  await server.kill();
  expect(surprises(server.stderr())).toEqual([]);
  return { clients, lines: readTrace(trace) };
}

/**
 * The same history up to a moment at which the process was killed. Another process continues with what it left.
 * @param isUnseen nobody saw that end: the killed process may still be running
 */
async function recordAfterKill(
  { clients, lines }: Recorded,
  cut: number,
  isUnseen = false,
): Promise<Recorded> {
  const root = mkdtempSync(join(scratch, 'after-kill-'));
  const before = killedAt(lines, cut);
  materialise(new DiskHistory(before).imageAt(before.length, EVERYTHING_KEPT), root);
  if (isUnseen) {
    const lock = join(root, 'data', 'lock');
    const holder = JSON.parse(readFileSync(lock, 'utf8')) as object;
    writeFileSync(lock, JSON.stringify({ ...holder, followsUnseen: true }));
  }
  const after = await record(root, resume, clients);
  return { clients, lines: [...before, ...after.lines] };
}

function describeCut(lines: readonly TraceLine[], cut: number): string {
  const names = new Map(
    lines.slice(0, cut + 1).flatMap((line) => (line.t === 'begin' ? [[line.n, nameOf(line)]] : [])),
  );
  const last = lines.slice(Math.max(0, cut - 11), cut + 1);
  return last
    .map((line) => (line.t === 'begin' || line.t === 'end' ? `${line.t} ${names.get(line.n)}` : line.t))
    .join(', ');
}

interface Found {
  readonly cut: number;
  readonly fate: string;
  readonly problem: string;
  readonly after: string;
}

/** The power fails after each line that has fates. Stops at the first folder that breaks a promise. */
async function firstBroken(
  { clients, lines }: Recorded,
  fatesOf: (line: TraceLine, cut: number) => readonly [string, Fate][],
): Promise<{ found: Found | null; images: number }> {
  const history = new DiskHistory(lines);
  const promises = new Promises(clients);
  const seen = new Set<string>();
  let promised = 0;
  for (const [cut, line] of lines.entries()) {
    promises.take(line);
    if (line.t === 'asked' || line.t === 'restarted' || isAnswer(line)) promised += 1;
    const images = fatesOf(line, cut).map(([fate, of]) => ({ fate, tree: history.imageAt(cut, of) }));
    const fresh = images.filter(({ tree }) => isNew(seen, `${promised} ${hashOf(tree)}`));
    const problems = await Promise.all(fresh.map(({ tree }) => problemOf(tree, promises)));
    for (const [i, problem] of problems.entries())
      if (problem !== null)
        return {
          found: { cut, fate: fresh[i]?.fate ?? '', problem, after: describeCut(lines, cut) },
          images: seen.size,
        };
  }
  return { found: null, images: seen.size };
}

function isAnswer(line: TraceLine): boolean {
  return line.t === 'begin' && line.op === 'answer';
}

function isNew(seen: Set<string>, key: string): boolean {
  return !seen.has(key) && seen.add(key).has(key);
}

async function problemOf(tree: Tree, promises: Promises): Promise<string | null> {
  const folder = mkdtempSync(join(scratch, 'image-'));
  try {
    materialise(tree, folder);
    await checkFolder(join(folder, 'data'), PLANS, promises);
    return null;
  } catch (error) {
    return error instanceof Broken ? error.message : String((error as Error).stack);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function hashOf(tree: Tree): string {
  const hash = createHash('sha1');
  for (const [path, content] of [...tree].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(`${path}\0${content?.length ?? 'folder'}\0`).update(content ?? '');
  return hash.digest('hex');
}

const LOST: [string, Fate] = ['everything lost', EVERYTHING_LOST];
const EXTREMES = [LOST, ['everything kept', EVERYTHING_KEPT] satisfies [string, Fate]];

type FatesOf = (line: TraceLine, cut: number) => [string, Fate][];

/** Each answer is tested with everything lost, and some moments with all fates. */
function samples({ moments, images }: PowerBudget, lines: readonly TraceLine[], from: number): FatesOf {
  const share = moments / (lines.length - from);
  return (line, cut) => {
    if (cut < from) return [];
    if (!dice.chance(share)) return isAnswer(line) ? [LOST] : [];
    const random = Array.from({ length: images }, (_, i): [string, Fate] => {
      const seed = SEED + cut * 1_000 + i;
      return [`dice ${seed}`, fateOf(diceOf(seed))];
    });
    return [...EXTREMES, ...random];
  };
}

async function check(budget: PowerBudget, recorded: Recorded, from = 0): Promise<void> {
  const { found, images } = await firstBroken(recorded, samples(budget, recorded.lines, from));
  console.log(`${recorded.lines.length - from} moments, ${images} folders opened`);
  expect(found).toBeNull();
}

export function powerLoss(budget: PowerBudget): void {
  beforeAll(async () => {
    console.log(`power loss: TEST_SEED=${SEED}`);
    scratch = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'xenonflare-mock-power-'));
  });
  afterAll(async () => {
    await rm(scratch, { recursive: true, force: true });
  });

  describe(`a server that takes uploads, and whose power goes (TEST_SEED=${SEED})`, () => {
    let recorded: Recorded;

    beforeAll(async () => {
      const root = join(scratch, 'first');
      mkdirSync(root);
      recorded = await record(root, workload);
    });

    it('did nothing to the disk that was not written down', async () => {
      const { lines } = recorded;
      const replayed = new DiskHistory(lines).imageAt(lines.length, EVERYTHING_KEPT);
      const found = treeIn(join(scratch, 'first'));
      expect([...replayed.keys()].toSorted()).toEqual([...found.keys()].toSorted());
      expect(hashOf(replayed)).toBe(hashOf(found));
    });

    it(
      'has what it acknowledged, at every moment, whatever of the rest is lost (C2, D1)',
      { timeout: 900_000 },
      () => check(budget, recorded),
    );

    it.each(dice.shuffled(KILLED_AFTER).slice(0, budget.kills))(
      'has it also after a process was killed after a "%s", and another went on (C2, D1)',
      { timeout: 900_000 },
      async (name) => {
        const cut = dice.pick(endsOf(recorded.lines, name, dice.chance(0.5)));
        const resumed = await recordAfterKill(recorded, cut);
        await check(budget, resumed, killedAt(recorded.lines, cut).length);
      },
    );

    it(
      'has it also after another took the folder over without having seen the end, and went on (D1, D3)',
      { timeout: 900_000 },
      async () => {
        const cut = dice.pick(endsOf(recorded.lines, 'sync upload ledger', false));
        const resumed = await recordAfterKill(recorded, cut, true);
        expect(
          resumed.lines.filter((line) => line.t === 'begin' && nameOf(line) === 'rename spool'),
        ).not.toEqual([]);
        await check(budget, resumed, killedAt(recorded.lines, cut).length);
      },
    );

    it('would lose something without any one kind of its syncs (D1)', { timeout: 300_000 }, async () => {
      const kinds = new Set(recorded.lines.flatMap((line) => (isSync(line) ? [nameOf(line)] : [])));
      const harmless: string[] = [];
      for (const kind of kinds) {
        const lines = withoutSyncs(recorded.lines, kind);
        const looked = async (isLookedAt: (cut: number) => boolean): Promise<Found | null> =>
          (await firstBroken({ ...recorded, lines }, (_, cut) => (isLookedAt(cut) ? [LOST] : []))).found;
        // Most are missing at the end; some are missing only until the next sync.
        const found =
          (await looked((cut) => cut === lines.length - 1)) ?? (await looked((cut) => cut % 20 === 0));
        if (found === null) harmless.push(kind);
      }
      expect(kinds.size).toBeGreaterThan(20);
      expect(harmless).toEqual([]);
    });
  });
}

/** The lines at which a step of this name has ended: the first for each file, or all. */
function endsOf(lines: readonly TraceLine[], name: string, isFirstOnly: boolean): number[] {
  const named = new Map<number, string>();
  for (const line of lines)
    if (line.t === 'begin' && 'path' in line && nameOf(line) === name) named.set(line.n, line.path);
  const seen = new Set<string>();
  return lines.flatMap((line, at) => {
    const path = line.t === 'end' ? named.get(line.n) : undefined;
    if (path === undefined || (isFirstOnly && seen.has(path))) return [];
    seen.add(path);
    return [at];
  });
}

function isSync(line: TraceLine): line is TraceLine & { t: 'begin'; op: 'sync' } {
  return line.t === 'begin' && line.op === 'sync';
}

function withoutSyncs(lines: readonly TraceLine[], kind: string): TraceLine[] {
  const dropped = new Set(lines.flatMap((line) => (isSync(line) && nameOf(line) === kind ? [line.n] : [])));
  return lines.filter((line) => !('n' in line && dropped.has(line.n)));
}

function treeIn(folder: string): Tree {
  const tree = new Map<string, Buffer | null>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    tree.set(relative(folder, path), entry.isDirectory() ? null : readFileSync(path));
  }
  return tree;
}
