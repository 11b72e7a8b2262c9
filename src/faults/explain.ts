// faults/explain.ts: describes a rule in one plain English sentence, for lists, logs and readers of the journal.
//
// Promises: the sentence holds everything that decides the rule's meaning. Numbers keep the units that people write.
import { OPERATION_NAMES, type Operation } from '../contract/operations.ts';
import type { Effect, FaultOf, Phase } from './effects.ts';
import type { Match, Rule, Span, When } from './rules.ts';

/** "On the 1st attempt of chunk 2 of any upload, once: after the chunk is stored, reset the connection without an answer." */
export function explain(rule: Rule): string {
  const { when, times, ignoreReplays, ttlMs, fault } = rule;
  const occasion = `${attemptsOf(when.attempt)}${subjectOf(rule)}${conditionsOf(when)}`;
  const replays = ignoreReplays
    ? ', not counting requests that a transport repeats, which are hit again'
    : '';
  const limits = `${timesOf(times)}${replays}${ttlMs === null ? '' : `, within ${showMs(ttlMs)} of arming`}`;
  return `On ${occasion}, ${limits}: ${placeOf(rule)}, ${deedOf(fault.effect, fault)}.`;
}

const DOINGS: Readonly<Record<Exclude<Operation, 'uploadChunk' | 'getUploadStatus'>, string>> = {
  createVideo: 'making a video',
  createImage: 'making an image',
  getVideo: 'reading a video',
  getImage: 'reading an image',
  listChannels: 'listing the channels',
  listProfiles: 'listing the profiles',
};

function subjectOf({ match, operations }: Rule): string {
  const [operation, ...others] = operations;
  if (operation === undefined || others.length > 0) {
    const which = operations.length === OPERATION_NAMES.length ? '' : ` (${operations.join(', ')})`;
    return `any request${which}${match.fileId === null ? '' : ` for ${uploadOf(match)}`}`;
  }
  if (operation === 'uploadChunk') return `${chunkOf(match.chunkIndex)} of ${uploadOf(match)}`;
  if (operation === 'getUploadStatus') return `a status query of ${uploadOf(match)}`;
  return `${DOINGS[operation]}${match.fileId === null ? '' : ` from ${uploadOf(match)}`}`;
}

function uploadOf({ fileId }: Match): string {
  if (fileId === null) return 'any upload';
  return fileId.includes('*')
    ? `any upload like ${JSON.stringify(fileId)}`
    : `upload ${JSON.stringify(fileId)}`;
}

function chunkOf(wanted: Match['chunkIndex']): string {
  if (wanted === null) return 'any chunk';
  if (wanted === 'last') return 'the last chunk';
  return `${wanted.from === wanted.to ? 'chunk' : 'chunks'} ${showSpan(wanted)}`;
}

function attemptsOf(attempts: When['attempt']): string {
  if (attempts === null) return '';
  const count = countIn(attempts);
  return count === null ? `attempts ${showSpans(attempts)} of ` : `the ${ordinal(count)} attempt of `;
}

function conditionsOf({ nth, skip, probability }: When): string {
  const letting = skip === 0 ? '' : `, letting ${skip === 1 ? 'the first' : `the first ${skip}`} pass`;
  const draw = probability === 1 ? '' : `, with a probability of ${probability}`;
  if (nth === null) return `${letting}${draw}`;
  const count = countIn(nth);
  const which = count === null ? `matches ${showSpans(nth)}` : `the ${ordinal(count)} match`;
  return `${letting}, only at ${which}${draw}`;
}

function timesOf(times: number): string {
  if (!Number.isFinite(times)) return 'every time';
  return ['never', 'once', 'twice'][times] ?? `${times} times`;
}

/** The only number in the spans, if there is just one. */
function countIn([first, ...others]: readonly Span[]): number | null {
  return first !== undefined && others.length === 0 && first.from === first.to ? first.from : null;
}

export function showSpans(spans: readonly Span[]): string {
  const shown = spans.map(showSpan);
  return shown.length === 1 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}

function showSpan({ from, to }: Span): string {
  if (from === to) return String(from);
  return Number.isFinite(to) ? `${from} to ${to}` : `from ${from} on`;
}

function ordinal(count: number): string {
  const isTeen = Math.floor(count / 10) % 10 === 1;
  return `${count}${isTeen ? 'th' : (['th', 'st', 'nd', 'rd'][count % 10] ?? 'th')}`;
}

const TIME_UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;
const SIZE_UNITS = [
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
] as const;

export function showMs(ms: number): string {
  const [unit, factor] = TIME_UNITS.find(([, of]) => ms >= of && ms % of === 0) ?? ['ms', 1];
  return `${ms / factor}${unit}`;
}

function showBytes(bytes: number): string {
  if (bytes === 1) return '1 byte';
  const [unit, factor] = SIZE_UNITS.find(([, of]) => bytes >= of && bytes % of === 0) ?? [' bytes', 1];
  return `${bytes / factor}${unit}`;
}

function placeOf({ fault, operations }: Rule): string {
  const { name, atByte } = fault.phase;
  if (name === 'headers') return 'before the body is read';
  if (name === 'body') return atByte === undefined ? 'while the body is read' : bytesInto(atByte, 'the file');
  if (name === 'pre-commit') return 'with the whole body read and nothing stored';
  if (name === 'post-commit') return `after ${storedThing(operations)} is stored`;
  return atByte === undefined ? 'when it is answered' : bytesInto(atByte, 'the answer’s body');
}

function bytesInto(atByte: number, what: string): string {
  return atByte === 0 ? `before the first byte of ${what}` : `after ${showBytes(atByte)} of ${what}`;
}

function storedThing(operations: readonly Operation[]): string {
  if (operations.every((name) => name === 'uploadChunk')) return 'the chunk';
  return operations.includes('uploadChunk') ? 'what came' : 'the entry';
}

/** Empty once an answer has begun: the answer is then cut, not missing. */
function withoutAnswer({ name }: Phase): string {
  return name === 'response' ? '' : ' without an answer';
}

const DEEDS: { readonly [E in Effect]: (fault: FaultOf<E>) => string } = {
  close: ({ phase }) => `close the connection${withoutAnswer(phase)}`,
  reset: ({ phase }) => `reset the connection${withoutAnswer(phase)}`,
  stall: ({ ms }) =>
    ms === undefined
      ? 'go silent until the client leaves'
      : `go silent for ${showMs(ms)}, then close the connection`,
  delay: ({ ms, jitterMs }) =>
    `wait ${showMs(ms)}${jitterMs === 0 ? '' : ` and up to ${showMs(jitterMs)} more`}, then go on`,
  status: (fault) => `answer ${fault.status}${extrasOf(fault)}`,
  throttle: ({ phase, bytesPerSecond }) =>
    `${phase.name === 'response' ? 'send the answer' : 'read the request'} at ${showBytes(bytesPerSecond)} per second`,
  truncate: ({ phase }) => `${phase.atByte === undefined ? 'send half of it and ' : ''}close the connection`,
  empty: () => 'leave the answer’s body empty',
  garbage: ({ phase, bytes }) =>
    `send ${showBytes(bytes)} of garbage${phase.atByte === undefined ? ' instead' : ''} and close the connection`,
  'late-commit': ({ ms, status }) => `answer ${status} and store it ${showMs(ms)} later all the same`,
  crash: ({ phase }) => `kill the server process${withoutAnswer(phase)}`,
  forget: () => 'forget the upload as if it had expired, then go on',
  'stale-status': () => 'answer with the state from before the last stored chunk',
  'fail-publish': ({ platform, reason }) =>
    `let its ${platform} end as failed${reason === undefined ? '' : ` (${JSON.stringify(reason)})`}`,
};

function deedOf<E extends Effect>(effect: E, fault: FaultOf<E>): string {
  return DEEDS[effect](fault);
}

function extrasOf({ retryAfter, headers = {}, body, html, closing }: FaultOf<'status'>): string {
  const extras = [
    retryAfter === undefined ? null : `Retry-After: ${retryAfter}`,
    ...Object.entries(headers).flatMap(([name, lines]) => lines.map((line) => `${titled(name)}: ${line}`)),
    html ? 'a proxy’s HTML page' : null,
    body === undefined ? null : 'a body of the rule’s own',
  ].filter((extra) => extra !== null);
  const list = extras.length === 0 ? '' : ` with ${extras.join(' and ')}`;
  return `${list}${closing ? ', then close the connection' : ''}`;
}

/** Header names ignore case; people expect `Retry-After`. */
function titled(name: string): string {
  return name.replaceAll(/(?<=^|-)[a-z]/g, (letter) => letter.toUpperCase());
}
