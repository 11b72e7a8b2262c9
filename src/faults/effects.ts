// faults/effects.ts: the operations, the phases of an exchange and, in one table, all effects with their phases and
// parameters.
//
// Promises: only this table knows the phases and parameters of an effect; the code that parses, refuses and explains faults
// reads it. A `Fault` is plain data with every default filled in.
import { z } from 'zod';
import { PLATFORMS } from '../media/platforms.ts';
import { OPERATION_NAMES, OPERATIONS, type Operation } from '../contract/operations.ts';
import { duration, size } from '../config/units.ts';
import { answerHeaders } from './answer-headers.ts';

/** In the order in which an exchange reaches them. */
export const PHASES = ['headers', 'body', 'pre-commit', 'post-commit', 'response'] as const;
export type PhaseName = (typeof PHASES)[number];

export interface Phase {
  readonly name: PhaseName;
  /**
   * `body`: after this many bytes of the `file` part. `response`: after this many bytes of the answer's body; the head has
   * been sent. Absent: the effect acts on the whole (`truncate` then sends half of the answer).
   */
  readonly atByte?: number;
}

/** The sum of two such times stays below 2^31 ms; beyond that Node's timers fire at once. */
const MAX_MS = 7 * 24 * 3600 * 1000;
const MAX_BODY_CHARACTERS = 65_536;
const MAX_GARBAGE_BYTES = 1024 * 1024;

export const milliseconds = z
  .union([z.number(), z.string()], { error: 'expected a duration such as 500ms, 5s, or milliseconds' })
  .pipe(duration);

const ms = milliseconds.pipe(z.number().max(MAX_MS, 'expected at most 7d'));

export const byteCount = z
  .union([z.number(), z.string()], { error: 'expected a size such as 1000, 256KiB' })
  .pipe(size);

const bytesPerSecond = z
  .union([z.number(), z.string()], { error: 'expected bytes per second such as 65536, 1MiB/s' })
  .transform((value) => (typeof value === 'string' && value.endsWith('/s') ? value.slice(0, -2) : value))
  .pipe(size)
  .pipe(z.number().min(1, 'expected at least 1 byte per second'));

function statusFrom(least: number): z.ZodType<number, number | string> {
  const error = `expected a status from ${least} to 599`;
  return z
    .union([z.number(), z.string().regex(/^\d{3}$/, { error })], { error })
    .transform(Number)
    .pipe(z.int({ error }).min(least, { error }).max(599, { error }));
}

const flag = z
  .union([z.boolean(), z.enum(['true', 'false'])], { error: 'expected true or false' })
  .transform((value) => String(value) === 'true');

const RETRY_AFTER = 'expected seconds such as 2, 2s, or a date such as Wed, 21 Oct 2026 07:28:00 GMT';

/** Seconds or an IMF-fixdate: the forms that RFC 9110 §10.2.3 allows a sender. */
const retryAfter = z
  .union([z.number(), z.string()], { error: RETRY_AFTER })
  .transform((value, context): number | string => {
    if (typeof value === 'string' && isHttpDate(value)) return value;
    const seconds = typeof value === 'number' || /^\d+$/.test(value) ? Number(value) : secondsOf(value);
    if (Number.isSafeInteger(seconds) && seconds >= 0) return seconds;
    context.addIssue({ code: 'custom', message: RETRY_AFTER });
    return z.NEVER;
  });

/** The round trip refuses every other way to write a date, and days that do not exist. */
function isHttpDate(text: string): boolean {
  return !Number.isNaN(Date.parse(text)) && new Date(text).toUTCString() === text;
}

function secondsOf(text: string): number {
  const result = duration.safeParse(text);
  return result.success ? result.data / 1000 : Number.NaN;
}

interface EffectSpec {
  /** The first phase is the default. */
  readonly phases: readonly PhaseName[];
  /**
   * Whether a byte may be given in the phases `body` and `response`, and its default: `zero` is before the first byte, `whole`
   * means that no byte is set.
   */
  readonly atByte: 'zero' | 'whole' | 'never';
  /** The parameter that needs no name in the text form. */
  readonly main: string | null;
  readonly params: z.ZodObject;
  /** Absent: every operation that has the phase. */
  readonly operations?: readonly Operation[];
}

const NOTHING = z.strictObject({});

export const EFFECTS = {
  /** FIN. */
  close: { phases: PHASES, atByte: 'zero', main: null, params: NOTHING },
  /** RST. */
  reset: { phases: PHASES, atByte: 'zero', main: null, params: NOTHING },
  /** Reads and sends nothing more. After `ms` the connection is closed; without `ms` the stall lasts until the client leaves. */
  stall: { phases: PHASES, atByte: 'zero', main: 'ms', params: z.strictObject({ ms: ms.optional() }) },
  /** Waits for `ms` plus a random part of `jitterMs`, then goes on. */
  delay: {
    phases: PHASES,
    atByte: 'zero',
    main: 'ms',
    params: z.strictObject({ ms, jitterMs: ms.default(0) }),
  },
  /** Answers instead of the route. `html`: a proxy's page. `closing`: announces `Connection: close` and closes. */
  status: {
    phases: ['headers', 'body', 'pre-commit', 'post-commit'],
    atByte: 'zero',
    main: 'status',
    params: z
      .strictObject({
        status: statusFrom(200),
        retryAfter: retryAfter.optional(),
        headers: answerHeaders.optional(),
        body: z.string().max(MAX_BODY_CHARACTERS).optional(),
        html: flag.default(false),
        closing: flag.default(false),
      })
      .refine(({ headers, retryAfter: after }) => after === undefined || !headers?.['retry-after'], {
        path: ['retryAfter'],
        error: 'the same as Retry-After of headers; give only one of them',
      }),
  },
  /** `headers` and `body`: how fast the request is read. `response`: how fast the answer is sent. */
  throttle: {
    phases: ['body', 'headers', 'response'],
    atByte: 'never',
    main: 'bytesPerSecond',
    params: z.strictObject({ bytesPerSecond }),
  },
  /** The answer announces its whole length and ends before that length. */
  truncate: { phases: ['response'], atByte: 'whole', main: null, params: NOTHING },
  /** The answer keeps its status and has an empty body. */
  empty: { phases: ['response'], atByte: 'never', main: null, params: NOTHING },
  /** Sends bytes that are not HTTP, then FIN: instead of the whole answer, or inside its body. */
  garbage: {
    phases: ['response'],
    atByte: 'whole',
    main: null,
    params: z.strictObject({
      bytes: byteCount
        .pipe(z.number().min(1, 'expected at least 1').max(MAX_GARBAGE_BYTES, 'expected at most 1MiB'))
        .default(256),
    }),
  },
  /** Answers `status` now and stores the change `ms` later. */
  'late-commit': {
    phases: ['pre-commit'],
    atByte: 'never',
    main: 'ms',
    params: z.strictObject({ ms, status: statusFrom(400).default(503) }),
  },
  /** Kills the server's process (SIGKILL). Where this is not allowed, the rule cannot be armed (rules.ts). */
  crash: { phases: PHASES, atByte: 'zero', main: null, params: NOTHING },
  /** Removes the upload as if it had expired; the exchange goes on. */
  forget: {
    phases: ['headers', 'pre-commit', 'post-commit'],
    atByte: 'never',
    main: null,
    params: NOTHING,
    operations: ['uploadChunk', 'getUploadStatus', 'createVideo', 'createImage'],
  },
  /** Answers with the state from before the last stored chunk. */
  'stale-status': {
    phases: ['response'],
    atByte: 'never',
    main: null,
    params: NOTHING,
    operations: ['getUploadStatus'],
  },
  /** The entry is made, but its publication to this platform ends as `failed`. */
  'fail-publish': {
    phases: ['post-commit'],
    atByte: 'never',
    main: 'platform',
    params: z.strictObject({
      platform: z.enum(PLATFORMS, { error: `expected one of ${PLATFORMS.join(', ')}` }),
      reason: z.string().min(1).max(1000).optional(),
    }),
    operations: ['createVideo', 'createImage'],
  },
} as const satisfies Record<string, EffectSpec>;

export type Effect = keyof typeof EFFECTS;
export const EFFECT_NAMES = Object.keys(EFFECTS) as Effect[];

export type FaultOf<E extends Effect> = { readonly effect: E; readonly phase: Phase } & Readonly<
  z.output<(typeof EFFECTS)[E]['params']>
>;
/** What breaks, where and how. The type is narrowed by `effect`. */
export type Fault = { [E in Effect]: FaultOf<E> }[Effect];

export function specOf(effect: Effect): EffectSpec {
  return EFFECTS[effect];
}

/** The operations in which the fault can happen. */
export function operationsOf({ effect, phase }: Pick<Fault, 'effect' | 'phase'>): Operation[] {
  const possible = specOf(effect).operations ?? OPERATION_NAMES;
  return possible.filter((operation) => {
    if (OPERATIONS[operation].isChange || phase.name === 'response') return true;
    // A request without a body has nothing that could be read slowly.
    return phase.name === 'headers' && effect !== 'throttle';
  });
}
