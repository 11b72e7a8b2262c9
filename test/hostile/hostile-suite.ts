// hostile-suite.ts: many thousands of hostile requests against the server as people run it.
//
// The cases come from the seed TEST_SEED, in batches. Each case is judged by itself (verdict.ts), while a good exchange runs on
// another connection. After each batch a good upload must come through byte for byte, and of the batch only those uploads may be
// left that the server acknowledged. At the end, memory and descriptors must be as before.
// TEST_SEED=… TEST_CASE=… plays one case alone and prints all of it.
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DoubleClient } from '../helpers/double-client.ts';
import { descriptorCount, startProcess, type ServerProcess } from '../helpers/process.ts';
import { diceOf, SEED } from '../helpers/seed.ts';
import { Attacker } from './attacker.ts';
import { caseOf, isBody, KIND_NAMES, kindOf, type Kind } from './cases.ts';
import { caseOfFileId, KEYS, type HostileCase } from './hostile-case.ts';
import { complaints, type Outcome } from './verdict.ts';

const ONLY = process.env['TEST_CASE'] === undefined ? null : Number(process.env['TEST_CASE']);

const BATCH = 2_500;
const ATTACKERS = 12;
const SLOW_ATTACKERS = 40;
/** Of so many bodies one. */
const WATCHED_BODIES = 4;
const MIB = 1024 * 1024;
/** The server remembers attempts for so many uploads and chunks (faults/rule-book.ts), and each case adds one or some. */
const REMEMBERED_PER_CASE = 256;
const POLLING = { timeout: 60_000, interval: 50 };

/** The limits are small, so that small bodies reach them; the time-outs are long enough for a busy machine. */
const FLAGS = [
  '--durability',
  'none',
  '--max-file-size',
  '1MiB',
  '--max-stored-bytes',
  '256MiB',
  '--spool-memory',
  '64KiB',
  '--journal-entries',
  '100',
];
const PATIENT = ['--header-timeout', '20s', '--idle-timeout', '20s'];
const HASTY = ['--header-timeout', '300ms', '--idle-timeout', '300ms'];

/** On this signal, which means nothing else, Node frees its memory and reports what is still in use. */
const MEMORY_PROBE = `
  import { writeFileSync } from 'node:fs';
  import { setFlagsFromString } from 'node:v8';
  import { runInNewContext } from 'node:vm';
  process.on('SIGWINCH', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc');
    for (let times = 0; times < 3; times += 1) collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    writeFileSync(process.env.MEMORY_PROBE_FILE, heapUsed + arrayBuffers + '\\n', { flag: 'a' });
  });`;

interface Target {
  /** One agent for each key: connections that are kept open must not look like those that were left behind. */
  readonly clients: ReadonlyMap<string | undefined, DoubleClient>;
  readonly server: ServerProcess;
  readonly dataDir: string;
  readonly memoryFile: string;
}

const CONTROL = 'control';
const NAMESPACES = [KEYS.contract, KEYS.admin, CONTROL, undefined];

function clientOf({ clients }: Target, key: string | undefined): DoubleClient {
  const client = clients.get(key);
  if (client === undefined) throw new Error('a key without a client');
  return client;
}

const folders: string[] = [];

async function startTarget(patience: readonly string[]): Promise<Target> {
  const folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-hostile-'));
  folders.push(folder);
  const dataDir = join(folder, 'data');
  const memoryFile = join(folder, 'memory');
  const server = await startProcess(['--data-dir', dataDir, ...FLAGS, ...patience], {
    NODE_OPTIONS: `--import "data:text/javascript,${encodeURIComponent(MEMORY_PROBE)}"`,
    MEMORY_PROBE_FILE: memoryFile,
  });
  const clients = new Map(NAMESPACES.map((key) => [key, new DoubleClient(server, key)]));
  return { server, dataDir, memoryFile, clients };
}

async function linesOf(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').filter(Boolean);
}

/** Bytes that are still in use. */
async function wantedBytes({ server, memoryFile }: Target): Promise<number> {
  const before = (await linesOf(memoryFile)).length;
  server.signal('SIGWINCH');
  await expect.poll(async () => (await linesOf(memoryFile)).length, POLLING).toBe(before + 1);
  return Number((await linesOf(memoryFile)).at(-1));
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .toSorted();
}

// What was seen

class Table {
  readonly #rows = new Map<Kind, Map<string, number>>();

  count(kind: Kind, { answers }: Outcome): void {
    const row = this.#rows.get(kind) ?? new Map<string, number>();
    this.#rows.set(kind, row);
    const seen = answers.length === 0 ? ['none'] : answers.map(({ status }) => String(status));
    for (const status of ['cases', ...seen]) row.set(status, (row.get(status) ?? 0) + 1);
  }

  of(kind: Kind, status: string): number {
    return this.#rows.get(kind)?.get(status) ?? 0;
  }

  print(): void {
    const statuses = new Set([...this.#rows.values()].flatMap((row) => [...row.keys()]));
    const columns = ['cases', ...[...statuses].filter((one) => one !== 'cases').toSorted()];
    const line = (cells: readonly string[]): string =>
      cells.map((cell, i) => (i === 0 ? cell.padEnd(18) : cell.padStart(7))).join('');
    const rows = KIND_NAMES.map((kind) =>
      line([kind, ...columns.map((column) => String(this.of(kind, column) || '·'))]),
    );
    console.info([line(['kind', ...columns]), ...rows].join('\n'));
  }
}

// Playing

interface Played {
  readonly hostile: HostileCase;
  readonly outcome: Outcome;
  readonly found: readonly string[];
}

const MAX_SHOWN = 1_200;
const MAX_FAILURES = 5;

function shown(bytes: Buffer): string {
  const all = JSON.stringify(bytes.toString('latin1'));
  return ONLY !== null || all.length <= MAX_SHOWN
    ? all
    : `${all.slice(0, MAX_SHOWN)}… (${bytes.length} bytes)`;
}

function report(n: number, { hostile, outcome, found }: Played): string {
  const sent = hostile.steps.map((step) => (Buffer.isBuffer(step) ? shown(step) : `(${step.pauseMs} ms)`));
  const got = outcome.answers.map(
    ({ status, headers, text }) => `${status} ${headers['x-request-id'] ?? '-'} ${text.slice(0, 300)}`,
  );
  return [
    `TEST_SEED=${SEED} TEST_CASE=${n} (${kindOf(SEED, n)}): ${found.join('; ')}`,
    `  sent: ${sent.join(' ')} then ${hostile.ending}`,
    `  of it: ${JSON.stringify(hostile.requests.slice(0, 12))}`,
    `  got: ${got.join(' | ') || 'no answer'}${outcome.hasEnded ? ', then the end' : ''}`,
  ].join('\n');
}

interface Attack {
  readonly table: Table;
  readonly failures: string[];
  /** Cases that may have stored something. */
  readonly mayHaveStored: Set<number>;
  /** On a busy machine a server with little patience may also refuse a good client. */
  readonly hasNeighbours: boolean;
}

/** The case was told that its upload is stored, or it may be stored and the case was told nothing. */
function mayHaveStoredBy({ ending, requests }: HostileCase, { answers }: Outcome): boolean {
  const isTold = answers.some(({ status }) => status === 200);
  const isUntold = requests.slice(answers.length).some(({ fate }) => fate === 'either');
  return ending === 'reset' || isTold || isUntold;
}

/**
 * Valid HTTP cannot affect other requests. After such a case an occasional check is enough, because it costs as much as the case.
 */
async function besideAndBehind(n: number, attacker: Attacker, hasNeighbours: boolean): Promise<string[]> {
  if (isBody(kindOf(SEED, n)) && n % WATCHED_BODIES !== 0) return [];
  const behind = await attacker.askBehind();
  const neighbour = hasNeighbours ? await attacker.askNeighbour() : null;
  return [
    ...(behind === null ? [] : [`the next request on the connection: ${behind}`]),
    ...(neighbour === null ? [] : [`a neighbour: ${neighbour}`]),
  ];
}

async function playOne(
  n: number,
  attacker: Attacker,
  { table, failures, mayHaveStored, hasNeighbours }: Attack,
): Promise<void> {
  const hostile = caseOf(SEED, n);
  const outcome = await attacker.play(hostile);
  const found = complaints(hostile, outcome);
  found.push(...(await besideAndBehind(n, attacker, hasNeighbours)));
  table.count(kindOf(SEED, n), outcome);
  if (mayHaveStoredBy(hostile, outcome)) mayHaveStored.add(n);
  if (found.length > 0) failures.push(report(n, { hostile, outcome, found }));
  if (found.length > 0 || ONLY !== null) console.error(report(n, { hostile, outcome, found }));
}

/** The cases of these numbers, `count` at a time, each attacker one after the other. */
async function playAll(
  port: number,
  numbers: readonly number[],
  attack: Attack & { count: number },
): Promise<void> {
  const left = numbers.values();
  const attackers = Array.from({ length: attack.count }, () => new Attacker(port));
  await Promise.all(
    attackers.map(async (attacker) => {
      for (const n of left) {
        if (attack.failures.length >= MAX_FAILURES) break;
        await playOne(n, attacker, attack);
      }
      attacker.leave();
    }),
  );
  expect(attack.failures.join('\n')).toBe('');
}

// What must hold after each batch

async function expectGoodUpload(target: Target, batch: number): Promise<void> {
  const dice = diceOf(SEED + batch);
  const fileId = `control-${batch}`;
  const chunks = [dice.bytes(dice.between(1, 3_000)), dice.bytes(70_000), dice.bytes(dice.between(1, 50))];
  const client = clientOf(target, CONTROL);
  for (const [index, bytes] of chunks.entries()) {
    const { status, text } = await client.chunk({ fileId, index, total: chunks.length, bytes });
    expect(status, text).toBe(200);
  }
  const { status, text, body } = await client.finalize(fileId);
  expect(status, text).toBe(201);
  const content = await fetch(`${target.server.adminUrl}/media/${body.data.id}/content`, {
    headers: { 'x-api-key': CONTROL },
  });
  const digest = createHash('sha256').update(Buffer.from(await content.arrayBuffer()));
  expect(digest.digest('hex')).toBe(createHash('sha256').update(Buffer.concat(chunks)).digest('hex'));
}

interface Listed {
  readonly uploads: readonly { readonly fileId: string }[];
}

/** Of the uploads with names of cases, only those are left whose case was told so. */
async function expectToldUploads(target: Target, mayHaveStored: ReadonlySet<number>): Promise<void> {
  for (const key of [KEYS.contract, undefined]) {
    const { body } = await clientOf(target, key).admin<Listed>('GET uploads');
    const untold = body.uploads.filter(({ fileId }) => {
      const n = caseOfFileId(fileId);
      return n !== null && !mayHaveStored.has(n);
    });
    expect(untold, `stored, and nobody was told (TEST_SEED=${SEED})`).toEqual([]);
    const illegal = body.uploads.filter(({ fileId }) => !/^\P{Cc}{1,256}$/u.test(fileId));
    expect(illegal, `stored under an id that rule C4 forbids (TEST_SEED=${SEED})`).toEqual([]);
  }
}

async function expectCleanAfterReset(target: Target, files: readonly string[]): Promise<void> {
  for (const key of NAMESPACES) {
    const reset = (): ReturnType<DoubleClient['admin']> => clientOf(target, key).admin('POST reset', {});
    let answer = await reset();
    // The impatient server rightly says this to a client that a busy machine delayed in the middle of a request.
    while (answer.status === 408) answer = await reset();
    expect(answer.status, answer.text).toBe(200);
  }
  await expect.poll(() => filesIn(target.dataDir), POLLING).toEqual(files);
}

async function expectAlive({ server }: Target): Promise<void> {
  expect((await fetch(`${server.adminUrl}/ready`)).status).toBe(200);
  expect(server.stderr(), 'what the server logged as a warning or worse').toBe('');
}

function batchesOf(numbers: readonly number[], size: number): number[][] {
  return Array.from({ length: Math.ceil(numbers.length / size) }, (_, i) =>
    numbers.slice(i * size, (i + 1) * size),
  );
}

/** So many cases, or the one that TEST_CASE names. */
export function hostileBytes(cases: number): void {
  describe(`${ONLY === null ? cases : 1} hostile streams and bodies`, () => {
    const numbers = ONLY === null ? Array.from({ length: cases }, (_, n) => n) : [ONLY];
    const isSlow = (n: number): boolean => kindOf(SEED, n) === 'slow';
    const table = new Table();

    beforeAll(() => console.info(`hostile: TEST_SEED=${SEED}, ${numbers.length} cases`));
    afterAll(() => table.print());
    afterAll(async () => {
      await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
    });

    it(
      `get documented answers only, touch no neighbour and leave nothing behind (TEST_SEED=${SEED}) (C3, C11)`,
      { timeout: 300_000 + cases * 20 },
      async () => {
        const [patient, hasty] = await Promise.all([startTarget(PATIENT), startTarget(HASTY)]);
        const slowly = playSlowly(hasty, numbers.filter(isSlow), table);
        await Promise.all([
          slowly,
          playInBatches(
            patient,
            numbers.filter((n) => !isSlow(n)),
            table,
          ),
        ]);
        for (const { server } of [patient, hasty]) {
          server.signal('SIGTERM');
          expect(await server.exited).toEqual({ code: 0, signal: null });
        }
      },
    );
  });
}

async function playSlowly(target: Target, numbers: readonly number[], table: Table): Promise<void> {
  const files = await filesIn(target.dataDir);
  const attack = {
    table,
    failures: [],
    mayHaveStored: new Set<number>(),
    count: SLOW_ATTACKERS,
    hasNeighbours: false,
  };
  await playAll(target.server.port, numbers, attack);
  await expectAlive(target);
  await expectToldUploads(target, attack.mayHaveStored);
  await expectCleanAfterReset(target, files);
}

async function playInBatches(target: Target, numbers: readonly number[], table: Table): Promise<void> {
  const { server, dataDir } = target;
  const files = await filesIn(dataDir);
  const batches = batchesOf(numbers, BATCH);
  let first: { descriptors: number; bytes: number } | null = null;
  for (const [batch, some] of batches.entries()) {
    const attack = {
      table,
      failures: [],
      mayHaveStored: new Set<number>(),
      count: ATTACKERS,
      hasNeighbours: true,
    };
    await playAll(server.port, some, attack);
    await expectGoodUpload(target, batch);
    await expectAlive(target);
    await expectToldUploads(target, attack.mayHaveStored);
    await expectCleanAfterReset(target, files);
    // Two batches go first, until caches and counters are as full as they get.
    if (batch === 1)
      first = { descriptors: await descriptorCount(server.pid), bytes: await wantedBytes(target) };
  }
  if (first === null || batches.length < 4) return;
  const { descriptors, bytes } = first;
  const grown = (await wantedBytes(target)) - bytes;
  console.info(`hostile: grown by ${Math.round(grown / 1024)} KiB over ${batches.length - 2} batches`);
  expect(grown).toBeLessThan(2 * MIB + (batches.length - 2) * BATCH * REMEMBERED_PER_CASE);
  await expect.poll(() => descriptorCount(server.pid), POLLING).toBeLessThanOrEqual(descriptors);
}
