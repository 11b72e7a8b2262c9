// matrix.test.ts: every effect in every phase, for the first, a middle and the last chunk, the finalise and the status query, on
// new and on reused connections (behaviour §10). Each case checks what the client meets, what is stored, what the journal says,
// that the next request is not affected, that sending again repairs it, and that nothing is left behind.
import { describe, expect, it } from 'vitest';
import type { NamespaceDouble } from '../../src/control/in-process.ts';
import { EFFECT_NAMES, EFFECTS, operationsOf, type Fault } from '../../src/faults/effects.ts';
import type { Operation } from '../../src/contract/operations.ts';
import { nameOfFault, readFault } from '../../src/faults/fault.ts';
import type { RuleInput } from '../../src/faults/rule-input.ts';
import type { Exchange, Outcome } from '../../src/journal/exchange.ts';
import { eventually, wireOf } from '../helpers/app.ts';
import {
  bodyUpTo,
  chunkRequest,
  finaliseRequest,
  openFaultServer,
  statusRequest,
  unreadBody,
  wholeBody,
  type FaultServer,
  type Order,
  type Request,
} from '../helpers/exchanges.ts';
import { held, released } from '../helpers/leaks.ts';
import { diceOf, SEED } from '../helpers/seed.ts';
import { Wire, type Ending, type Heard } from '../helpers/wire.ts';

const STEPS = [
  'the first chunk',
  'a middle chunk',
  'the last chunk',
  'the finalise',
  'the status query',
] as const;
type Step = (typeof STEPS)[number];

const OPERATION: Readonly<Record<Step, Operation>> = {
  'the first chunk': 'uploadChunk',
  'a middle chunk': 'uploadChunk',
  'the last chunk': 'uploadChunk',
  'the finalise': 'createVideo',
  'the status query': 'getUploadStatus',
};

/** How many chunks are stored before the step. */
const CHUNKS_BEFORE: Readonly<Record<Step, number>> = {
  'the first chunk': 0,
  'a middle chunk': 1,
  'the last chunk': 2,
  'the finalise': 3,
  'the status query': 2,
};

/** What the client meets. */
interface Meeting {
  /** `own`: the status of the route. Null: no answer. */
  readonly answer: 'own' | 'empty' | 'garbage' | number | null;
  /** How much of the answer's body arrives; `half` of it. Absent: all. */
  readonly upTo?: number | 'half';
  readonly ending?: Ending;
  /** Nothing more comes until the client leaves. */
  readonly isSilent?: boolean;
  readonly leastMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Case {
  readonly fault: string;
  readonly meets: Meeting;
  readonly outcome: Outcome;
}

const MS = 25;
const FIN = { answer: null, ending: 'FIN' } as const;
const RST = { answer: null, ending: 'RST' } as const;
const SILENCE = { answer: null, isSilent: true } as const;

const CUTS: Case[] = ['headers', 'body:0', 'body:7', 'pre-commit', 'post-commit'].flatMap((phase) => [
  { fault: `close@${phase}`, meets: FIN, outcome: 'fault-closed' },
  { fault: `reset@${phase}`, meets: RST, outcome: 'fault-reset' },
  { fault: `stall@${phase}`, meets: SILENCE, outcome: 'client-aborted' },
]);

const PARTS: Case[] = [0, 7].flatMap((upTo) => [
  { fault: `close@response:${upTo}`, meets: { answer: 'own', upTo, ending: 'FIN' }, outcome: 'fault-closed' },
  { fault: `reset@response:${upTo}`, meets: { answer: 'own', upTo, ending: 'RST' }, outcome: 'fault-reset' },
  {
    fault: `stall@response:${upTo}`,
    meets: { answer: 'own', upTo, isSilent: true },
    outcome: 'client-aborted',
  },
]);

const TIMED: Case[] = ['headers', 'body:7', 'pre-commit', 'post-commit', 'response:7'].flatMap((phase) => {
  const isCut = phase.startsWith('response');
  const place = `${phase}${phase.includes(':') ? ',' : ':'}${MS}ms`;
  const ended = {
    ...(isCut ? { answer: 'own' as const, upTo: 7 } : { answer: null }),
    ending: 'FIN' as const,
  };
  return [
    { fault: `stall@${place}`, meets: { ...ended, leastMs: MS }, outcome: 'fault-closed' },
    { fault: `delay@${place}`, meets: { answer: 'own', leastMs: MS }, outcome: 'answered' },
  ];
});

const ANSWERS: Case[] = [
  { fault: 'status@headers:503,retryAfter=2', status: 503, headers: { 'retry-after': '2' } },
  {
    fault: 'status@headers:503,closing',
    status: 503,
    ending: 'FIN' as const,
    headers: { connection: 'close' },
  },
  { fault: 'status@body:7,429', status: 429, headers: { 'content-type': 'application/json; charset=utf-8' } },
  {
    fault: 'status@body:7,500,closing',
    status: 500,
    ending: 'FIN' as const,
    headers: { connection: 'close' },
  },
  { fault: 'status@pre-commit:502,html', status: 502, headers: { 'content-type': 'text/html' } },
  { fault: 'status@post-commit:500', status: 500, headers: { connection: 'keep-alive' } },
  {
    fault: 'status@post-commit:504,closing',
    status: 504,
    ending: 'FIN' as const,
    headers: { connection: 'close' },
  },
  { fault: 'late-commit@pre-commit:1h', status: 503 },
].map(({ fault, status, ...meets }) => ({ fault, meets: { answer: status, ...meets }, outcome: 'answered' }));

const OTHERS: Case[] = [
  // 700 bytes of the file, or more than 80 bytes of an answer.
  { fault: 'throttle@headers:20000', meets: { answer: 'own', leastMs: 34 }, outcome: 'answered' },
  { fault: 'throttle@body:20000', meets: { answer: 'own', leastMs: 34 }, outcome: 'answered' },
  { fault: 'throttle@response:4000', meets: { answer: 'own', leastMs: 17 }, outcome: 'answered' },
  {
    fault: 'truncate@response',
    meets: { answer: 'own', upTo: 'half', ending: 'FIN' },
    outcome: 'fault-closed',
  },
  { fault: 'truncate@response:7', meets: { answer: 'own', upTo: 7, ending: 'FIN' }, outcome: 'fault-closed' },
  { fault: 'empty@response', meets: { answer: 'empty' }, outcome: 'answered' },
  { fault: 'garbage@response', meets: { answer: 'garbage', ending: 'FIN' }, outcome: 'fault-closed' },
  {
    fault: 'garbage@response:7',
    meets: { answer: 'garbage', upTo: 7, ending: 'FIN' },
    outcome: 'fault-closed',
  },
  { fault: 'forget@headers', meets: { answer: 'own' }, outcome: 'answered' },
  { fault: 'forget@pre-commit', meets: { answer: 'own' }, outcome: 'answered' },
  { fault: 'forget@post-commit', meets: { answer: 'own' }, outcome: 'answered' },
  { fault: 'stale-status@response', meets: { answer: 'own' }, outcome: 'answered' },
  { fault: 'fail-publish@post-commit:instagram', meets: { answer: 'own' }, outcome: 'answered' },
];

const CASES = [...CUTS, ...PARTS, ...TIMED, ...ANSWERS, ...OTHERS].map((one) => ({
  ...one,
  parsed: faultOf(one.fault),
}));
type ParsedCase = (typeof CASES)[number];

function faultOf(text: string): Fault {
  const reading = readFault(text);
  if ('fault' in reading) return reading.fault;
  throw new Error(`${text} is no fault`);
}

interface Variant {
  readonly isReused: boolean;
  /** Whether the rule names the upload and the chunk; otherwise it names only the operation. */
  readonly isNamed: boolean;
  readonly order: Order;
}

/** New and reused connections take turns from step to step, so that each case has both. */
const VARIANTS: readonly (readonly Variant[])[] = [
  [
    { isReused: false, isNamed: false, order: 'the file first' },
    { isReused: true, isNamed: true, order: 'the fields first' },
  ],
  [
    { isReused: false, isNamed: true, order: 'the file first' },
    { isReused: true, isNamed: false, order: 'the fields first' },
  ],
  [
    { isReused: false, isNamed: true, order: 'the fields first' },
    { isReused: true, isNamed: false, order: 'the file first' },
  ],
];

function variantsOf(step: Step): readonly Variant[] {
  return VARIANTS[STEPS.indexOf(step) % VARIANTS.length] ?? [];
}

const SIZE = 700;
const TOTAL = 3;

/** One upload in its own namespace, and a connection that no rule affects. */
interface Stage {
  readonly server: FaultServer;
  readonly double: NamespaceDouble;
  readonly side: Wire;
  readonly chunks: readonly Buffer[];
  readonly about: { readonly key: string; readonly fileId: string };
  readonly variant: Variant;
  readonly step: Step;
}

let stages = 0;

async function setStage(server: FaultServer, step: Step, variant: Variant): Promise<Stage> {
  stages += 1;
  const about = { key: `key-${stages}`, fileId: `upload-${stages}` };
  const dice = diceOf(SEED + stages);
  const chunks = Array.from({ length: TOTAL }, () => dice.bytes(SIZE));
  const double = server.double.namespace(about.key);
  await double.clock.freeze();
  const stage = { server, double, side: await Wire.open(server.port), chunks, about, variant, step };
  for (let index = 0; index < CHUNKS_BEFORE[step]; index += 1) {
    expect((await stage.side.request(chunkOf(stage, index).bytes)).status).toBe(200);
  }
  return stage;
}

function chunkOf({ about, chunks, variant: { order } }: Stage, index: number): Request {
  return chunkRequest({ ...about, index, total: TOTAL, bytes: chunks[index] ?? Buffer.alloc(0), order });
}

function requestOf(stage: Stage): Request {
  if (stage.step === 'the finalise') return finaliseRequest(stage.about);
  if (stage.step === 'the status query') return statusRequest(stage.about);
  return chunkOf(stage, CHUNKS_BEFORE[stage.step]);
}

function ruleOf({ about, step, variant }: Stage, fault: string): RuleInput {
  const operation = OPERATION[step];
  const chunk = operation === 'uploadChunk' ? { chunkIndex: CHUNKS_BEFORE[step] } : {};
  const named = variant.isNamed ? { fileId: about.fileId, ...chunk } : {};
  return { id: 'the-rule', match: { operation, ...named }, fault };
}

/** The size that the status query reports, and whether there is an entry. Null: no upload. */
interface Stored {
  readonly currentSize: number | null;
  readonly entries: number;
}

async function storedOf({ side, about, double }: Stage): Promise<Stored> {
  const { data } = wireOf((await side.request(statusRequest(about).bytes)).body.toString());
  const upload = await double.uploads.find(about.fileId);
  const entries = (await double.media.list()).length;
  expect(upload?.currentSize ?? null).toBe(data['exists'] === true ? data['currentSize'] : null);
  expect(upload?.completed ?? false).toBe(data['currentSize'] === TOTAL * SIZE);
  if (upload !== null) expect(upload.finalizedAs !== null).toBe(entries === 1);
  return { currentSize: upload?.currentSize ?? null, entries };
}

/** After these the exchange goes on. */
const HARMLESS: readonly string[] = ['delay', 'throttle', 'fail-publish'];

/** What the phase implies. */
function expectedStored({ step }: Stage, { effect, phase }: Fault): Stored {
  if (effect === 'forget') return forgotten(step, phase.name);
  const isMade = HARMLESS.includes(effect) || phase.name === 'post-commit' || phase.name === 'response';
  const isChunk = OPERATION[step] === 'uploadChunk';
  const chunks = CHUNKS_BEFORE[step] + (isChunk && isMade ? 1 : 0);
  return {
    currentSize: chunks === 0 ? null : chunks * SIZE,
    entries: step === 'the finalise' && isMade ? 1 : 0,
  };
}

/** If the upload is forgotten before, a first chunk begins it again; the other chunks find no upload to continue. */
function forgotten(step: Step, phase: string): Stored {
  const isAfter = phase === 'post-commit';
  const isBegun = step === 'the first chunk' && !isAfter;
  return { currentSize: isBegun ? SIZE : null, entries: step === 'the finalise' && isAfter ? 1 : 0 };
}

/** The status and code of the route's own answer while the fault acts. */
function ownAnswer({ step }: Stage, { effect, phase }: Fault): { status: number; errorCode?: string } {
  const isLost = effect === 'forget' && phase.name !== 'post-commit';
  if (step === 'the finalise')
    return isLost ? { status: 404, errorCode: 'upload_not_found' } : { status: 201 };
  if (isLost && CHUNKS_BEFORE[step] > 0 && step !== 'the status query')
    return { status: 409, errorCode: 'chunk_out_of_order' };
  return { status: 200 };
}

function expectHeard(stage: Stage, one: ParsedCase, heard: Heard): void {
  const { answer, upTo } = one.meets;
  if (answer === null) expect([heard.status, heard.body.length]).toEqual([null, 0]);
  else if (answer === 'garbage' && upTo === undefined) expectNoise(heard.body, 256);
  else expectAnswer(stage, one, heard);
}

function expectAnswer(stage: Stage, { meets, parsed }: ParsedCase, { status, headers, body }: Heard): void {
  const { answer, upTo } = meets;
  expect(status).toBe(typeof answer === 'number' ? answer : ownAnswer(stage, parsed).status);
  expect(headers).toMatchObject({ ...meets.headers, 'x-mock-fault': 'the-rule' });
  const promised = Number(headers['content-length']);
  if (answer === 'garbage') return expectNoise(body.subarray(7), Math.min(256, promised - 7));
  if (answer === 'empty') expect(promised).toBe(0);
  expect(body.length).toBe(upTo === 'half' ? Math.floor(promised / 2) : (upTo ?? promised));
}

function expectNoise(bytes: Buffer, length: number): void {
  expect(bytes.length).toBe(length);
  expect(bytes.every((byte) => byte >= 0x80)).toBe(true);
}

/** What the journal has to say. */
function expectedExchange(
  stage: Stage,
  { meets, outcome, parsed }: ParsedCase,
  heard: Heard,
): Partial<Exchange> {
  const request = requestOf(stage);
  const { name: phase, ...where } = parsed.phase;
  const own = ownAnswer(stage, parsed);
  const isRefused = own.errorCode !== undefined;
  const isUnread = phase === 'headers' && 'answer' in meets && meets.answer !== 'own';
  const isCut = phase === 'body' && meets.answer !== 'own' && OPERATION[stage.step] === 'uploadChunk';
  const whole = isCut ? bodyUpTo(request, parsed.phase.atByte ?? 0) : wholeBody(request);
  return {
    operation: OPERATION[stage.step],
    fault: { ruleId: 'the-rule', phase, effect: parsed.effect, ...where },
    body: isUnread ? unreadBody(request) : whole,
    committed: expectedCommitted(stage, parsed),
    response: expectedResponse(own, meets, heard),
    outcome: isRefused ? 'refused' : outcome,
  };
}

function expectedCommitted(stage: Stage, fault: Fault): Exchange['committed'] {
  const isFinalise = stage.step === 'the finalise';
  const before = CHUNKS_BEFORE[stage.step];
  const { effect, phase } = fault;
  const isForgotten = effect === 'forget' && phase.name === 'post-commit';
  const after = expectedStored(stage, fault);
  if (isFinalise) return after.entries === 1 ? { offset: 0, bytes: TOTAL * SIZE } : null;
  if (OPERATION[stage.step] !== 'uploadChunk') return null;
  const isStored = isForgotten || after.currentSize === (before + 1) * SIZE;
  return isStored ? { offset: before * SIZE, bytes: SIZE } : null;
}

function expectedResponse(
  own: { status: number; errorCode?: string },
  { answer, upTo }: Meeting,
  heard: Heard,
): Exchange['response'] {
  if (answer === null || (answer === 'garbage' && upTo === undefined)) return null;
  if (typeof answer === 'number') return { status: answer, bytes: heard.body.length };
  return { ...own, bytes: answer === 'garbage' ? 7 : heard.body.length };
}

/** Sends the request under the rule and reads what arrives, until the connection ends, if it ends. */
async function meet(stage: Stage, main: Wire, { meets, fault }: ParsedCase): Promise<Heard> {
  const { double, side, about } = stage;
  double.rules.add(ruleOf(stage, fault));
  const begun = performance.now();
  main.send(requestOf(stage).bytes);
  if (meets.isSilent === true) {
    await eventually(
      () => double.rules.list()[0]?.['fired'],
      (fired) => fired === 1,
    );
    // If the server had anything left to send, it would have come with this answer.
    await side.request(statusRequest(about).bytes);
    expect(main.ending).toBeNull();
    return main.soFar();
  }
  const heard = await main.hear();
  if (meets.ending !== undefined) expect(await main.ended()).toBe(meets.ending);
  expect(performance.now() - begun).toBeGreaterThanOrEqual(meets.leastMs ?? 0);
  return heard;
}

/** The rule is used up: the same request again, and then the rest of the upload, give the right bytes. */
async function mend(stage: Stage, main: Wire, { parsed, meets }: ParsedCase): Promise<void> {
  const isAlive = meets.ending === undefined && meets.isSilent !== true;
  const wire = isAlive ? main : stage.side;
  if (isAlive) await expectUntouched(wire, statusRequest(stage.about), 200);
  if (parsed.effect === 'late-commit') await settleLate(stage);
  if (parsed.effect === 'forget') await beginAnew(stage, wire);
  else await goOn(stage, wire);
  await expectContent(stage);
}

/** Sends the request once more, whether it was stored or not, then the rest. */
async function goOn(stage: Stage, wire: Wire): Promise<void> {
  const { entries } = await storedOf(stage);
  const isFinalise = stage.step === 'the finalise';
  await expectUntouched(wire, requestOf(stage), isFinalise && entries === 0 ? 201 : 200);
  if (isFinalise) return;
  const isChunk = OPERATION[stage.step] === 'uploadChunk';
  for (let index = CHUNKS_BEFORE[stage.step] + (isChunk ? 1 : 0); index < TOTAL; index += 1) {
    await expectUntouched(wire, chunkOf(stage, index), 200);
  }
  await expectUntouched(wire, finaliseRequest(stage.about), 201);
}

/** What was forgotten must be sent from its first byte, unless it has become an entry. */
async function beginAnew(stage: Stage, wire: Wire): Promise<void> {
  const { entries } = await storedOf(stage);
  if (entries === 1) return;
  for (let index = 0; index < TOTAL; index += 1) await expectUntouched(wire, chunkOf(stage, index), 200);
  await expectUntouched(wire, finaliseRequest(stage.about), 201);
}

async function expectUntouched(wire: Wire, request: Request, expected: number): Promise<void> {
  const { status, headers } = await wire.request(request.bytes);
  expect([status, headers['x-mock-fault']]).toEqual([expected, undefined]);
}

async function expectContent({ double, chunks }: Stage): Promise<void> {
  const [entry, ...more] = await double.media.list();
  expect(more).toEqual([]);
  const content = await double.media.content(entry?.id ?? '');
  expect(content.equals(Buffer.concat(chunks))).toBe(true);
}

/** Measured on the namespace's clock, and not a moment earlier. */
async function settleLate(stage: Stage): Promise<void> {
  const { double, step } = stage;
  const before = expectedStored(stage, faultOf('late-commit:1h'));
  await double.clock.advance(3600 * 1000 - 1);
  expect(await storedOf(stage)).toEqual(before);
  expect(await double.clock.advance(1)).toMatchObject({ lateCommits: 1 });
  const { currentSize, entries } = await storedOf(stage);
  if (step === 'the finalise') expect(entries).toBe(1);
  else expect(currentSize).toBe((CHUNKS_BEFORE[step] + 1) * SIZE);
}

async function play(
  server: FaultServer,
  step: Step,
  { variant, one }: { variant: Variant; one: ParsedCase },
) {
  const stage = await setStage(server, step, variant);
  const { double, about, side } = stage;
  const main = await Wire.open(server.port);
  if (variant.isReused) expect((await main.request(statusRequest(about).bytes)).status).toBe(200);
  const heard = await meet(stage, main, one);
  expectHeard(stage, one, heard);
  expect(await storedOf(stage)).toEqual(expectedStored(stage, one.parsed));
  if (one.parsed.effect === 'stale-status')
    expect(wireOf(heard.body.toString()).data).toMatchObject({ exists: true, currentSize: SIZE });
  if (one.meets.isSilent === true) main.leave();
  await expectRecorded(stage, one, heard);
  await mend(stage, main, one);
  if (one.parsed.effect === 'fail-publish') await expectFailed(stage);
  expect(double.journal.count({ ruleId: '*' })).toBe(1);
  main.leave();
  side.leave();
}

async function expectRecorded(stage: Stage, one: ParsedCase, heard: Heard): Promise<void> {
  const { double, variant } = stage;
  const expected = expectedExchange(stage, one, heard);
  const [exchange] = await eventually(
    () => double.journal.find({ ruleId: 'the-rule' }),
    ([seen]) => seen?.outcome === expected.outcome,
  );
  expect(exchange).toMatchObject(expected);
  expect(exchange?.connection.reused).toBe(variant.isReused);
  expect(double.rules.list()).toMatchObject([{ fired: 1, remaining: 0, lastFiredSeq: exchange?.seq }]);
}

async function expectFailed({ double }: Stage): Promise<void> {
  await double.clock.advance(60_000);
  expect(await double.media.list()).toMatchObject([{ status: 'failed', instagram: { status: 'failed' } }]);
}

/** Cases whose fault cannot happen in this step: a body fault and a slow read need bytes of a file. */
function canHappen({ parsed }: ParsedCase, step: Step): boolean {
  if (!operationsOf(parsed).includes(OPERATION[step])) return false;
  const needsFile =
    parsed.effect === 'throttle' || (parsed.phase.name === 'body' && parsed.phase.atByte !== 0);
  return parsed.phase.name === 'response' || !needsFile || OPERATION[step] === 'uploadChunk';
}

it('has a case for every effect in every phase, but for the one that ends the process (crash.test.ts) (§10.8)', () => {
  const cases = new Set(
    CASES.map(({ parsed }) => nameOfFault({ ...parsed, phase: { name: parsed.phase.name } })),
  );
  const all = EFFECT_NAMES.filter((effect) => effect !== 'crash').flatMap((effect) =>
    EFFECTS[effect].phases.map((phase) => `${effect}@${phase}`),
  );
  expect([...cases].toSorted()).toEqual(all.toSorted());
});

/** Says where it failed. */
async function playAt(server: FaultServer, step: Step, scene: { variant: Variant; one: ParsedCase }) {
  try {
    await play(server, step, scene);
  } catch (error) {
    if (error instanceof Error) error.message = `${step}, ${JSON.stringify(scene.variant)}: ${error.message}`;
    throw error;
  }
}

describe('on each step of an upload, on a new and on a reused connection', () => {
  it.each(CASES)(
    '$fault does what it says, and no more (§5.2, §10.8, §10.9, §10.10, §10.11, §10.12, §10.13, §10.15, §10.16, §10.19)',
    async (one) => {
      const server = await openFaultServer();
      const before = held();
      const scenes = STEPS.filter((step) => canHappen(one, step)).flatMap((step) =>
        variantsOf(step).map((variant) => playAt(server, step, { variant, one })),
      );
      expect(scenes.length).toBeGreaterThan(0);
      await Promise.all(scenes);
      await released(before);
      await eventually(
        () => server.connections(),
        (count) => count === 0,
      );
    },
  );
});

describe('a rule whose place an exchange never comes by', () => {
  it.each(['close@body:7', 'reset@body:1MiB', 'throttle@body:1', 'throttle@headers:1'])(
    'lets a finalise without a file pass untouched, and can still fire: %s',
    async (fault) => {
      const server = await openFaultServer();
      const stage = await setStage(server, 'the finalise', {
        isReused: true,
        isNamed: false,
        order: 'the file first',
      });
      stage.double.rules.add(ruleOf(stage, fault));
      const answer = await stage.side.request(requestOf(stage).bytes);
      expect([answer.status, answer.headers['x-mock-fault']]).toEqual([201, undefined]);
      await eventually(
        () => stage.double.rules.list(),
        ([rule]) => rule?.fired === 0 && rule.remaining === 1 && !rule.exhausted,
      );
      expect(stage.double.journal.count({ ruleId: '*' })).toBe(0);
    },
  );
});
