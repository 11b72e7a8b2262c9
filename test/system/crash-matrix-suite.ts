// A process that dies by SIGKILL at any named point of its work has lost nothing (C2, C3, C6, F6, C15, D1, D2).
//
// A case is one request and one of its points: before a file is made, in the middle of a write, after a sync, before the answer.
// The points are not listed here. They are counted on a server that lives (fs-tap.mjs), so a new point is tested as soon as it
// exists. After each death the next process starts in the same folder. It is compared with what the clients were told, and is the
// next to die. A killed process loses nothing with `none` either, because the kernel has what was written. The caller says how many
// points of each request are tried; TEST_SEED decides which.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, utimesSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nameOf, readTrace } from '../helpers/fs-trace.ts';
import { filesIn, namespaceOf } from '../helpers/disk.ts';
import type { ServerProcess } from '../helpers/process.ts';
import { Clients, type Action, type Answer, type Plan } from '../helpers/promised.ts';
import { diceOf, SEED } from '../helpers/seed.ts';
import { startTapped, surprises } from '../helpers/tapped-server.ts';

const PATIENCE_MS = 30_000;
const dice = diceOf(SEED);

/** All, or some by the dice. */
function tried(points: readonly Point[], count: number): readonly Point[] {
  return count >= points.length ? points : dice.shuffled(points).slice(0, count);
}

/** One key for each case, so that each case makes its own folders. */
interface Situation {
  readonly name: string;
  readonly plans: (key: string) => readonly Plan[];
  /** What was stored before, by plan and chunk. */
  readonly before: (plans: readonly Plan[]) => readonly Action[];
  /** They are sent at the same time. The first one kills the server. */
  readonly fatal: (plans: readonly Plan[]) => readonly Action[];
  /** A point without which the case would test another situation. */
  readonly passes?: string;
  /** The number of points depends on how the bytes arrive, so the last points may not be reached. */
  readonly isVarying?: boolean;
  /** The fatal request removes what was stored; afterwards it is there or it is not. */
  readonly isRemoval?: boolean;
}

/** More bytes than arrive at once, so that some are here before the fields. */
const LARGE = 150_000;

function plan(key: string, name: string, { isFileFirst = false, chunks = 3 } = {}): Plan {
  const sizes = Array.from({ length: chunks }, () => (isFileFirst ? LARGE : dice.between(1, 9_000)));
  return {
    fileId: `${name}-${key}`,
    key,
    chunks: sizes.map((size) => Buffer.alloc(size, dice.bytes(31))),
    isFileFirst,
  };
}

const chunk = (of: Plan | undefined, index: number): Action => ({ kind: 'chunk', plan: some(of), index });
const whole = (of: Plan): Action[] => [...of.chunks.keys()].map((index) => chunk(of, index));
const finalize = (of: Plan | undefined): Action => ({ kind: 'finalize', plan: some(of) });

function some<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('there is none');
  return value;
}

const one = (key: string): Plan[] => [plan(key, 'one')];
const spooled = (key: string): Plan[] => [plan(key, 'spooled', { isFileFirst: true })];
const four = (key: string): Plan[] =>
  [0, 1, 2, 3].map((i) => plan(key, `many-${i}`, { isFileFirst: i % 2 === 1, chunks: 2 }));
const NOTHING = (): Action[] => [];

const SITUATIONS: readonly Situation[] = [
  { name: 'the first chunk', plans: one, before: NOTHING, fatal: ([p]) => [chunk(p, 0)] },
  {
    name: 'a chunk in the middle',
    plans: one,
    before: ([p]) => [chunk(p, 0)],
    fatal: ([p]) => [chunk(p, 1)],
  },
  {
    name: 'the last chunk',
    plans: one,
    before: ([p]) => [chunk(p, 0), chunk(p, 1)],
    fatal: ([p]) => [chunk(p, 2)],
  },
  { name: 'a chunk beyond a gap', plans: one, before: ([p]) => [chunk(p, 0)], fatal: ([p]) => [chunk(p, 2)] },
  {
    name: 'a first chunk that was spooled',
    passes: 'before: rename spool',
    isVarying: true,
    plans: spooled,
    before: NOTHING,
    fatal: ([p]) => [chunk(p, 0)],
  },
  {
    name: 'a later chunk that was spooled',
    passes: 'before: rename spool',
    isVarying: true,
    plans: spooled,
    before: ([p]) => [chunk(p, 0)],
    fatal: ([p]) => [chunk(p, 1)],
  },
  {
    name: 'a chunk that is sent again',
    plans: one,
    before: ([p]) => [chunk(p, 0)],
    fatal: ([p]) => [chunk(p, 0)],
  },
  {
    name: 'several uploads at once',
    isVarying: true,
    plans: four,
    before: NOTHING,
    fatal: (plans) => plans.map((p) => chunk(p, 0)),
  },
  { name: 'finalising', plans: one, before: ([p]) => whole(some(p)), fatal: ([p]) => [finalize(p)] },
  {
    name: 'a finalise that is sent again',
    plans: one,
    before: ([p]) => [...whole(some(p)), finalize(p)],
    fatal: ([p]) => [finalize(p)],
  },
  {
    name: 'a direct upload',
    isVarying: true,
    plans: () => [],
    before: NOTHING,
    fatal: () => [{ kind: 'direct', key: 'direct', bytes: Buffer.alloc(5_000, dice.bytes(31)) }],
  },
  {
    name: 'deleting',
    plans: one,
    before: ([p]) => [chunk(p, 0)],
    fatal: ([p]) => [{ kind: 'delete', plan: some(p) }],
    isRemoval: true,
  },
  {
    name: 'deleting a finalised one',
    plans: one,
    before: ([p]) => [...whole(some(p)), finalize(p)],
    fatal: ([p]) => [{ kind: 'delete', plan: some(p) }],
    isRemoval: true,
  },
  {
    name: 'expiring',
    plans: one,
    before: ([p]) => [chunk(p, 0), chunk(p, 2)],
    fatal: (plans) => [{ kind: 'expire', plans }],
    isRemoval: true,
  },
  {
    name: 'expiring a finalised one',
    plans: one,
    before: ([p]) => [...whole(some(p)), finalize(p)],
    fatal: (plans) => [{ kind: 'expire', plans }],
    isRemoval: true,
  },
];

/** A data folder and the processes that own it one after the other. */
class Folder {
  readonly root: string;
  readonly flags: readonly string[];
  readonly #clients: Clients;
  #server: ServerProcess;
  #traces = 1;

  private constructor(root: string, flags: readonly string[], server: ServerProcess) {
    this.root = root;
    this.flags = flags;
    this.#server = server;
    this.#clients = new Clients(server);
  }

  static async open(root: string, flags: readonly string[]): Promise<Folder> {
    return new Folder(root, flags, await startTapped({ root, trace: `${root}.1.trace` }, flags));
  }

  get server(): ServerProcess {
    return this.#server;
  }

  get trace(): string {
    return `${this.root}.${this.#traces}.trace`;
  }

  do(action: Action, headers: Readonly<Record<string, string>> = {}): Promise<Answer | null> {
    return this.#clients.do(action, headers);
  }

  async must(action: Action): Promise<Answer> {
    const answer = await this.do(action);
    if (answer === null || answer.status >= 300)
      throw new Error(`${action.kind} was answered ${answer?.status}: ${JSON.stringify(answer?.json)}`);
    return answer;
  }

  async get(path: string, key: string): Promise<Answer> {
    const answer = await fetch(`${this.#server.adminUrl}${path}`, { headers: { 'x-api-key': key } });
    return { status: answer.status, json: (await answer.json()) as Answer['json'] };
  }

  /** The process is dead or dies now. Returns its output. */
  async restart(): Promise<void> {
    await this.end();
    this.#traces += 1;
    this.#server = await startTapped({ root: this.root, trace: this.trace }, this.flags);
    this.#clients.moveTo(this.#server);
  }

  /** It died at the point, or it never reached the point: a body that arrives in fewer pieces needs fewer writes. */
  async died(at: string, why: string): Promise<void> {
    const exit = await Promise.race([this.#server.exited, delay(PATIENCE_MS, null, { ref: false })]);
    if (exit === null) expect(parseInt(at, 10), why).toBeGreaterThan(passedIn(this.trace));
    else expect(exit, why).toEqual({ code: null, signal: 'SIGKILL' });
  }

  async end(): Promise<void> {
    await this.#server.kill();
    await this.#server.exited;
    expect(surprises(this.#server.stderr())).toEqual([]);
  }
}

interface Point {
  readonly at: string;
  readonly name: string;
}

/** The points of a request, as a server that lives passes them. */
function pointsIn(trace: string): Point[] {
  const lines = readTrace(trace);
  const from = lines.findLastIndex(({ t }) => t === 'armed');
  const points: Point[] = [];
  let count = 0;
  for (const line of lines.slice(from)) {
    if (line.t !== 'begin') continue;
    count += 1;
    points.push({ at: String(count), name: `before: ${nameOf(line)}` });
    if (line.canHalf) points.push({ at: `${count}half`, name: `in the middle of: ${nameOf(line)}` });
  }
  return points;
}

/** How many points the last armed request has passed. */
function passedIn(trace: string): number {
  return new Set(pointsIn(trace).map(({ at }) => parseInt(at, 10))).size;
}

let keys = 0;

interface Case {
  readonly situation: Situation;
  readonly key: string;
  readonly plans: readonly Plan[];
  readonly fatal: readonly Action[];
  readonly answers: readonly (Answer | null)[];
}

/** Plays the situation. The first fatal request says where the process dies. */
async function play(folder: Folder, situation: Situation, dieAt: string): Promise<Case> {
  keys += 1;
  const key = `key-${keys}`;
  const plans = situation.plans(key);
  for (const action of situation.before(plans)) await folder.must(action);
  const fatal = situation.fatal(plans).map((a): Action => (a.kind === 'direct' ? { ...a, key } : a));
  const [first, ...others] = fatal;
  const dying = folder.do(some(first), { 'x-die-at': dieAt });
  const answers = await Promise.all([dying, ...others.map((action) => folder.do(action))]);
  return { situation, key, plans, fatal, answers };
}

interface UploadView {
  readonly finalizedAs: string | null;
  readonly chunks: readonly { index: number }[];
}

const NO_UPLOAD: UploadView = { finalizedAs: null, chunks: [] };

/** What was acknowledged is there, and perhaps what was sent and not answered. Then the client continues to the end. */
async function check(folder: Folder, played: Case): Promise<void> {
  for (const plan of played.plans) await checkPlan(folder, played, plan);
  for (const [i, action] of played.fatal.entries()) {
    if (action.kind === 'direct') await checkDirect(folder, action, played.answers[i] ?? null);
  }
}

async function checkPlan(folder: Folder, played: Case, plan: Plan): Promise<void> {
  const { situation, fatal, answers } = played;
  const before = situation
    .before(played.plans)
    .flatMap((a) => (a.kind === 'chunk' && a.plan === plan ? [a.index] : []));
  const sent = fatal.flatMap((a) => (a.kind === 'chunk' && a.plan === plan ? [a.index] : []));
  const answered = fatal.flatMap((a, i) =>
    a.kind === 'chunk' && a.plan === plan && answers[i] != null ? [a.index] : [],
  );
  const { status, json } = await folder.get(`/uploads/${plan.fileId}`, played.key);
  expect([200, 404], JSON.stringify(json)).toContain(status);
  const { chunks, finalizedAs } = status === 404 ? NO_UPLOAD : (json as unknown as UploadView);
  const stored = chunks.map(({ index }) => index);
  if (situation.isRemoval === true)
    expect([[], before].map(String), 'whole or gone').toContain(String(stored));
  else {
    expect(stored).toEqual(expect.arrayContaining([...before, ...answered]));
    for (const index of stored) expect([...before, ...sent]).toContain(index);
  }
  if (stored.length > 0 && finalizedAs === null) await checkBytes(folder, played, { plan, stored });
  await complete(folder, plan);
}

/** Compares byte for byte up to the first gap. For a finalised upload its entry is asked, by `complete`. */
async function checkBytes(
  folder: Folder,
  { key }: Case,
  { plan, stored }: { plan: Plan; stored: readonly number[] },
): Promise<void> {
  const { json } = await folder.get(`/uploads/${plan.fileId}?digest=sha256`, key);
  const toGap = plan.chunks.filter((_, index) =>
    plan.chunks.slice(0, index + 1).every((__, i) => stored.includes(i)),
  );
  const content = Buffer.concat(toGap);
  expect(json).toMatchObject({ currentSize: content.length, sha256: sha256(content) });
  const { json: answer } = await folder.must({ kind: 'status', plan });
  expect(answer['data']).toMatchObject({ exists: true, currentSize: content.length });
}

/** Sends every chunk, including those that are there. Finalising twice gives one entry. */
async function complete(folder: Folder, plan: Plan): Promise<void> {
  const key = some(plan.key ?? undefined);
  for (const action of [...whole(plan), ...whole(plan)]) await folder.must(action);
  const first = await folder.must(finalize(plan));
  const second = await folder.must(finalize(plan));
  const { id } = first.json['data'] as { id: string };
  expect((second.json['data'] as { id: string }).id).toBe(id);
  const content = Buffer.concat(plan.chunks);
  const entry = await folder.get(`/media/${id}?digest=sha256`, key);
  expect(entry.json).toMatchObject({ bytes: content.length, sha256: sha256(content) });
}

async function checkDirect(
  folder: Folder,
  action: Action & { kind: 'direct' },
  answer: Answer | null,
): Promise<void> {
  const { json } = await folder.get('/media', action.key);
  const { media } = json as { media: { id: string }[] };
  if (answer !== null)
    expect(media.map(({ id }) => id)).toEqual([(answer.json['data'] as { id: string }).id]);
  expect(media.length).toBeLessThanOrEqual(1);
  for (const { id } of media) {
    const entry = await folder.get(`/media/${id}?digest=sha256`, action.key);
    expect(entry.json).toMatchObject({ bytes: action.bytes.length, sha256: sha256(action.bytes) });
  }
}

/** When every upload is an entry, nothing is left over: no spool, no lock of a dead starter, no bytes of an upload. */
function checkFiles(root: string, cases: readonly Pick<Case, 'key'>[]): void {
  const data = join(root, 'data');
  expect(readdirSync(data).toSorted()).toEqual(['bytes', 'format', 'ledgers', 'lock', 'reserve', 'spool']);
  const own = new Set(cases.map(({ key }) => namespaceOf(key)));
  const left = [...filesIn(data)].flatMap(([name, size]) => {
    const [what, kind, namespace = ''] = name.split('/');
    const isOver = what === 'spool' || (what === 'bytes' && kind === 'uploads' && own.has(namespace));
    return isOver && size > 0 ? [name] : [];
  });
  expect(left).toEqual([]);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export interface CrashBudget {
  /** How many kinds of request are tried. */
  readonly situations: number;
  /** How many points of each. */
  readonly points: number;
}

export const EVERY_SITUATION = SITUATIONS.length;

export function crashMatrix(budget: CrashBudget): void {
  let scratch: string;

  beforeAll(async () => {
    console.log(`crash matrix: TEST_SEED=${SEED}`);
    scratch = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'xenonflare-mock-matrix-'));
  });
  afterAll(async () => {
    await rm(scratch, { recursive: true, force: true });
  });

  describe.each(['fsync', 'none'])(`a process that dies, durability %s (TEST_SEED=${SEED})`, (durability) => {
    const flags = [
      '--durability',
      durability,
      '--chunk-order',
      'any',
      '--spool-memory',
      '0',
      '--media-check',
      'off',
    ];
    const timeout = 3_600_000;

    it(
      'at any point of any request has lost nothing, and left nothing behind (C3, F6, D2)',
      { timeout },
      async () => {
        const root = join(scratch, durability);
        mkdirSync(root);
        const folder = await Folder.open(root, flags);
        // What a process does only once is done before points are counted, because the check after the last death also does it
        // first.
        await complete(folder, plan('everybody', 'warm-up'));
        const cases: Case[] = [];
        const situations = dice.shuffled(SITUATIONS).slice(0, budget.situations);
        for (const situation of situations) cases.push(...(await dieOften(folder, situation, budget.points)));
        await folder.end();
        checkFiles(root, cases);
        console.log(`durability ${durability}: ${cases.length - situations.length} deaths`);
      },
    );

    it(
      'at any point of its very first start and upload has left a folder as good as new',
      { timeout },
      async () => {
        const root = (name: string): string => join(scratch, `${durability}-${name}`);
        const first = plan('start', 'first');
        const points = pointsIn(await liveIn(root('lived'), { flags, dieAt: 'never', plan: first }));
        for (const { at, name } of tried(points, budget.points)) {
          const life = liveIn(root(at), { flags, dieAt: at, plan: first });
          const said = await life.catch(({ message }: Error) => message);
          // Otherwise the process never reached the point, and the trace is its own.
          if (said === `${root(at)}.trace`) expect(parseInt(at, 10), name).toBeGreaterThan(passedIn(said));
          else expect(said, `it dies ${name}, and says nothing`).toMatch(/^it (did not start: |died)$/);
          ageFiles(root(at));
          const fresh = await Folder.open(root(at), flags);
          await complete(fresh, first);
          await fresh.end();
          checkFiles(fresh.root, [{ key: 'start' }]);
        }
      },
    );
  });
}

async function dieOften(folder: Folder, situation: Situation, count: number): Promise<Case[]> {
  const { name: request, passes, isVarying = false } = situation;
  const lived = await play(folder, situation, 'never');
  const points = pointsIn(folder.trace);
  if (passes !== undefined) expect(points.map(({ name }) => name)).toContain(passes);
  await check(folder, lived);
  const cases = [lived];
  for (const { at, name } of tried(points, count)) {
    const why = `${request}: it dies ${name}`;
    const played = await play(folder, situation, at);
    if (!isVarying) await folder.died(at, why);
    await folder.restart();
    await check(folder, played).catch((error: unknown) => {
      throw new Error(why, { cause: error });
    });
    cases.push(played);
  }
  return cases;
}

/** Half a file beside the lock may belong to a starter that is alive, until the file is old enough. */
function ageFiles(folder: string): void {
  const anHourAgo = new Date(Date.now() - 3_600_000);
  for (const name of filesIn(folder).keys()) utimesSync(join(folder, name), anHourAgo, anHourAgo);
}

interface FirstLife {
  readonly flags: readonly string[];
  readonly dieAt: string;
  readonly plan: Plan;
}

/** A server that starts in an empty folder, and its first upload. @returns its trace @throws Error when the server dies of it */
async function liveIn(root: string, { flags, dieAt, plan: first }: FirstLife): Promise<string> {
  const trace = `${root}.trace`;
  mkdirSync(root);
  const server = await startTapped({ root, trace, dieAt }, flags);
  const clients = new Clients(server);
  for (const action of [...whole(first), finalize(first)]) await clients.do(action);
  if (dieAt !== 'never') {
    await Promise.race([server.exited, delay(PATIENCE_MS, null, { ref: false })]);
    if ((await readyOf(server)) === null) throw new Error('it died');
  }
  await server.kill();
  return trace;
}

/** Null: the server is dead. */
function readyOf({ adminUrl }: ServerProcess): Promise<Response | null> {
  return fetch(`${adminUrl}/ready`).catch(() => null);
}
