// soak/rules.ts: draws the faults at random, as rules for the admin plane.
//
// Promises: every fault ends by itself within seconds, so a rule never leaves a request without an answer for long. Only uploads
// whose name says so are forgotten, because otherwise nobody could distinguish that from a loss.
import type { Dice } from '../helpers/dice.ts';

export interface ArmedRule {
  readonly id: string;
  readonly effect: string;
  readonly json: object;
}

/** No fault lasts longer. */
export const LONGEST_FAULT_MS = 3_000;
export const FORGETTABLE_PREFIX = 'forget-';

const TTL_MS = 20_000;

/** They are drawn with equal chances: an effect that stands here twice comes twice as often. */
const CHUNK_FAULTS: readonly ((dice: Dice) => string)[] = [
  (dice) => `${cutter(dice)}@headers`,
  (dice) => `${cutter(dice)}@body:${dice.between(0, 200_000)}`,
  (dice) => `${cutter(dice)}@pre-commit`,
  (dice) => `${cutter(dice)}@post-commit`,
  (dice) => `${cutter(dice)}@post-commit`,
  (dice) => `${cutter(dice)}@response:${dice.between(0, 40)}`,
  (dice) => `stall@body:${dice.between(0, 100_000)},ms=${dice.between(100, 2_500)}`,
  (dice) => `stall@${dice.pick(['headers', 'pre-commit', 'post-commit'])}:${dice.between(100, 2_500)}`,
  (dice) => `delay@${phase(dice)}:ms=${dice.between(10, 1_000)},jitterMs=${dice.between(0, 500)}`,
  (dice) => `status@${dice.pick(['headers', 'pre-commit', 'post-commit'])}:503,retryAfter=1`,
  () => 'status@headers:502,html',
  (dice) => `status@${dice.pick(['headers', 'post-commit'])}:${dice.pick([429, 500, 504])},closing`,
  (dice) => `status@body:status=503,atByte=${dice.between(0, 50_000)}`,
  (dice) => `throttle@body:${dice.between(8, 64)}MiB/s`,
  (dice) => `throttle@response:${dice.between(100, 400)}`,
  () => 'truncate',
  () => 'empty',
  (dice) => (dice.chance(0.5) ? 'garbage' : `garbage@response:${dice.between(0, 30)}`),
  (dice) => `late-commit:${dice.between(50, 2_000)}`,
  (dice) => `late-commit:${dice.between(50, 2_000)},status=504`,
];

const STATUS_FAULTS: readonly ((dice: Dice) => string)[] = [
  () => 'stale-status',
  () => 'stale-status',
  (dice) => `${cutter(dice)}@${dice.pick(['headers', 'response'])}`,
  (dice) => `delay@${dice.pick(['headers', 'response'])}:ms=${dice.between(10, 800)}`,
  () => 'status@headers:503',
  (dice) => dice.pick(['truncate', 'empty', 'garbage']),
];

const CREATE_FAULTS: readonly ((dice: Dice) => string)[] = [
  (dice) => `${cutter(dice)}@${dice.pick(['headers', 'pre-commit', 'post-commit', 'response'])}`,
  (dice) => `delay@post-commit:${dice.between(10, 1_500)}`,
  (dice) => `status@${dice.pick(['pre-commit', 'post-commit'])}:503`,
  (dice) => `late-commit:${dice.between(50, 1_500)}`,
  () => 'fail-publish:youtube',
  (dice) => dice.pick(['truncate', 'empty', 'garbage']),
];

const READ_FAULTS: readonly ((dice: Dice) => string)[] = [
  (dice) => `${cutter(dice)}@headers`,
  (dice) => `delay@headers:${dice.between(10, 500)}`,
  () => 'status@headers:503',
];

type Family = readonly [operations: readonly [string, ...string[]], faults: typeof CHUNK_FAULTS];

const FAMILIES: readonly [Family, ...Family[]] = [
  [['uploadChunk'], CHUNK_FAULTS],
  [['uploadChunk'], CHUNK_FAULTS],
  [['uploadChunk'], CHUNK_FAULTS],
  [['getUploadStatus'], STATUS_FAULTS],
  [['createVideo', 'createImage'], CREATE_FAULTS],
  [['getVideo', 'getImage', 'listChannels', 'listProfiles'], READ_FAULTS],
];

export function drawRule(dice: Dice, id: string): ArmedRule {
  if (dice.chance(0.04)) return forgetful(dice, id);
  const [operations, faults] = dice.pick(FAMILIES);
  const operation = dice.pick(operations);
  const draw = faults[dice.between(0, faults.length - 1)] ?? (() => 'reset');
  const drawn = draw(dice);
  const fault = operation === 'createImage' ? drawn.replace('youtube', 'instagram') : drawn;
  const json = {
    id,
    match: { operation, ...(operation === 'uploadChunk' && dice.chance(0.3) ? chunk(dice) : {}) },
    when: dice.chance(0.3) ? { probability: dice.between(1, 9) / 10 } : {},
    fault,
    times: dice.between(1, 3),
    ttlMs: TTL_MS,
  };
  return { id, effect: effectOf(fault), json };
}

function forgetful(dice: Dice, id: string): ArmedRule {
  const fault = `forget@${dice.pick(['headers', 'pre-commit', 'post-commit'])}`;
  const match = { operation: 'uploadChunk', fileId: `${FORGETTABLE_PREFIX}*` };
  return { id, effect: 'forget', json: { id, match, fault, ttlMs: TTL_MS } };
}

function chunk(dice: Dice): object {
  return { chunkIndex: dice.pick(['first', 'last', 1, 2]) };
}

function cutter(dice: Dice): string {
  return dice.pick(['reset', 'close']);
}

function phase(dice: Dice): string {
  return dice.pick(['headers', 'pre-commit', 'post-commit', 'response']);
}

function effectOf(fault: string): string {
  return /^[a-z-]+/.exec(fault)?.[0] ?? fault;
}
