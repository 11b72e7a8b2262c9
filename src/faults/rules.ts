// faults/rules.ts: the wire form of a rule (behaviour §10) and its meaning: which exchanges it is about and what breaks.
//
// Promises: a `Rule` has every default filled in, and it can happen. A fault that the operation does not have, or a chunk for
// a request without chunks, is refused here and never armed in vain. All problems are named at once, by JSON pointer.
// MockServer's `succeedFirst: n` is `when.skip`; its `failRequestCount: n` is `times`.
import { z } from 'zod';
import { milliseconds, operationsOf, type Fault } from './effects.ts';
import { OPERATION_NAMES, OPERATIONS, type Operation } from '../contract/operations.ts';
import { nameOfFault, readFault } from './fault.ts';
import { problemsOf, refusalOf, type PlacedProblem } from '../core/problems.ts';

/** Both ends are included; `to` may be Infinity. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface Match {
  readonly operation: Operation | null;
  /** `*` stands for any text, including none. Null: any upload, and exchanges without an upload. */
  readonly fileId: string | null;
  readonly chunkIndex: Span | 'last' | null;
  readonly mediaType: 'video' | 'image' | null;
}

export interface When {
  /** The number of the attempt for this chunk, status query or finalise, from 1. Null: any. */
  readonly attempt: readonly Span[] | null;
  /** The number among the exchanges that the rule matched, from 1. Null: any. */
  readonly nth: readonly Span[] | null;
  /** How many matches pass before the rule acts. */
  readonly skip: number;
  readonly probability: number;
}

export interface Rule {
  readonly id: string;
  /** As it was given, with its id. */
  readonly given: Readonly<Record<string, unknown>>;
  readonly match: Match;
  readonly when: When;
  readonly fault: Fault;
  /** Infinity: no limit. */
  readonly times: number;
  /** A transport's replay of a request that the rule hit is hit again and not counted. */
  readonly ignoreReplays: boolean;
  /** Milliseconds since arming; null: no end. */
  readonly ttlMs: number | null;
  /** The operations that the rule can be about, by its match and by what can break there. Never empty. */
  readonly operations: readonly Operation[];
}

export interface ParseOptions {
  /** A server that other machines reach accepts only rules that end by themselves. */
  readonly isTtlNeeded?: boolean;
  /** Why no rule may kill the process; null or absent: rules may. */
  readonly crashRefusal?: string | null;
  /** Without a journal no rule can recognise a transport's replay. */
  readonly isJournalMissing?: boolean;
  /** Named as the source in a refusal. */
  readonly fileName?: string;
}

export const MAX_RULES = 1000;
const MAX_SPANS = 100;
const ENDS_FIRST = 'ends before it begins';

const spanSchema = (least: 0 | 1) =>
  z
    .strictObject({
      from: z.int().min(least).default(least),
      to: z.int().min(least).default(Number.POSITIVE_INFINITY),
    })
    .refine(isSpan, ENDS_FIRST);

/** `3`, `"1-3"`, `"4-"`, `{"from":1,"to":3}`, `[1, 3, 5]` */
const countsSchema = z.union(
  [
    z.int().min(1).transform(only),
    z
      .string()
      .regex(/^[1-9]\d{0,8}(?:\s?-\s?(?:[1-9]\d{0,8})?)?$/)
      .transform((text) => {
        const [from, to = from] = text.split('-').map((end) => end.trim());
        return { from: Number(from), to: to === '' ? Number.POSITIVE_INFINITY : Number(to) };
      })
      .refine(isSpan, ENDS_FIRST),
    spanSchema(1),
    z.array(z.int().min(1).transform(only)).min(1).max(MAX_SPANS),
  ],
  { error: 'expected a number from 1 on, such as 2, "1-3", {"from": 1, "to": 3} or [1, 3]' },
);

function isSpan({ from, to }: Span): boolean {
  return from <= to;
}

function only(count: number): Span {
  return { from: count, to: count };
}

const chunkSchema = z.union(
  [
    z.int().min(0).transform(only),
    spanSchema(0),
    z.literal('first').transform(() => only(0)),
    z.literal('last'),
  ],
  { error: 'expected a chunk index such as 2, {"from": 1, "to": 3}, "first" or "last"' },
);

const matchSchema = z.strictObject({
  operation: z
    .enum(OPERATION_NAMES, { error: `expected one of ${OPERATION_NAMES.join(', ')}` })
    .nullable()
    .default(null),
  fileId: z
    .string()
    .min(1)
    .max(512)
    // A pattern that fits any upload does not need the form to be read.
    .transform((pattern) => (/^\*+$/.test(pattern) ? null : pattern))
    .nullable()
    .default(null),
  chunkIndex: chunkSchema.nullable().default(null),
  mediaType: z.enum(['video', 'image']).nullable().default(null),
});

const whenSchema = z.strictObject({
  attempt: countsSchema.transform(asList).nullable().default(null),
  nth: countsSchema.transform(asList).nullable().default(null),
  skip: z.int().min(0).optional(),
  probability: z.number().gt(0, 'expected more than 0').max(1).default(1),
});

function asList(spans: Span | Span[]): Span[] {
  return Array.isArray(spans) ? spans : [spans];
}

const faultSchema = z.unknown().transform((value, context): Fault => {
  const reading = readFault(value);
  if ('fault' in reading) return reading.fault;
  for (const { path, message } of reading.problems) {
    context.addIssue({ code: 'custom', path: [...path], message });
  }
  return z.NEVER;
});

const writtenSchema = z.strictObject(
  {
    id: z
      .string()
      .regex(/^[!-~](?:[ -~]{0,98}[!-~])?$/, 'expected 1 to 100 printable ASCII characters')
      .optional(),
    match: matchSchema.prefault({}),
    when: whenSchema.prefault({}),
    fault: faultSchema,
    times: z
      .union([z.int().min(1), z.literal('always').transform(() => Number.POSITIVE_INFINITY)], {
        error: 'expected a number from 1 on, or "always"',
      })
      .optional(),
    ignoreReplays: z.boolean().default(false),
    ttlMs: milliseconds.pipe(z.number().min(1, 'expected at least 1 ms')).nullable().default(null),
    succeedFirst: z.int().min(0).optional(),
    failRequestCount: z.int().min(1).optional(),
  },
  // Replaces zod's message for a value that is not an object.
  { error: ({ code }) => (code === 'invalid_type' ? 'expected a rule: {"fault": …}' : undefined) },
);

const ruleSchema = writtenSchema.transform((written, context) => {
  const { id, fault, match, ttlMs, when, succeedFirst, times, failRequestCount, ignoreReplays } = written;
  const problems = contradictionsOf(written);
  for (const { path, message } of problems) context.addIssue({ code: 'custom', path: [...path], message });
  return {
    id,
    match,
    when: { ...when, skip: when.skip ?? succeedFirst ?? 0 },
    fault,
    times: times ?? failRequestCount ?? 1,
    ignoreReplays,
    ttlMs,
    operations: possibleIn(match, fault).operations,
  };
});

type Written = Readonly<z.output<typeof writtenSchema>>;

function contradictionsOf({ match, when, fault, ...rest }: Written): PlacedProblem[] {
  const { problems } = possibleIn(match, fault);
  if (rest.succeedFirst !== undefined && when.skip !== undefined) {
    problems.push({ path: ['succeedFirst'], message: 'the same as when.skip; give one of them' });
  }
  if (rest.failRequestCount !== undefined && rest.times !== undefined) {
    problems.push({ path: ['failRequestCount'], message: 'the same as times; give one of them' });
  }
  return problems;
}

/** The operations that the rule can be about. The first condition that leaves none is the problem. */
function possibleIn(match: Match, fault: Fault): { operations: Operation[]; problems: PlacedProblem[] } {
  const { operation, fileId, chunkIndex, mediaType } = match;
  const breakable = operationsOf(fault);
  const filters: { field: string[]; isOn: boolean; keeps: (name: Operation) => boolean }[] = [
    { field: ['fault'], isOn: true, keeps: (name) => breakable.includes(name) },
    {
      field: ['match', 'chunkIndex'],
      isOn: chunkIndex !== null,
      keeps: (name) => name === 'uploadChunk',
    },
    { field: ['match', 'fileId'], isOn: fileId !== null, keeps: (name) => OPERATIONS[name].hasUpload },
    {
      field: ['match', 'mediaType'],
      isOn: mediaType !== null,
      keeps: (name) => OPERATIONS[name].mediaType === mediaType,
    },
  ];
  let operations = operation === null ? OPERATION_NAMES : [operation];
  for (const { field, isOn, keeps } of filters) {
    const left = isOn ? operations.filter(keeps) : operations;
    if (left.length === 0) {
      const what = field[0] === 'fault' ? nameOfFault(fault) : 'this';
      const message = `${what} is only possible in ${OPERATION_NAMES.filter(keeps).join(', ')}; the rule is about ${operations.join(', ')}`;
      return { operations: [], problems: [{ path: field, message }] };
    }
    operations = left;
  }
  return { operations, problems: [] };
}

/**
 * Reads one rule or a list. `newId` makes the id of a rule without one from its index in the list.
 * @throws AppError `invalid_rule`; `details.problems` names every place
 */
export function parseRules(json: unknown, newId: (at: number) => string, options: ParseOptions = {}): Rule[] {
  const list: readonly unknown[] = Array.isArray(json) ? json : [json];
  if (list.length > MAX_RULES) {
    throw refusalOf(
      'invalid_rule',
      [{ path: [], message: `got ${list.length} rules; at most ${MAX_RULES}` }],
      options.fileName,
    );
  }
  const problems: PlacedProblem[] = [];
  const rules: Rule[] = [];
  const ids = new Set<string>();
  for (const [at, item] of list.entries()) {
    const base = Array.isArray(json) ? [at] : [];
    const found = problemsIn(item, options, ids);
    problems.push(...found.problems.map(({ path, message }) => ({ path: [...base, ...path], message })));
    if (found.rule !== null && problems.length === 0) rules.push(withId(found.rule, item, () => newId(at)));
  }
  if (problems.length > 0) throw refusalOf('invalid_rule', problems, options.fileName);
  return rules;
}

type ParsedRule = z.output<typeof ruleSchema>;

function problemsIn(
  item: unknown,
  options: ParseOptions,
  ids: Set<string>,
): { problems: PlacedProblem[]; rule: ParsedRule | null } {
  const { success, data, error } = ruleSchema.safeParse(item);
  if (!success) return { problems: problemsOf(error.issues), rule: null };
  const problems = forbiddenIn(data, options);
  if (data.id !== undefined && ids.has(data.id)) {
    problems.push({ path: ['id'], message: `another rule has the id ${JSON.stringify(data.id)} already` });
  }
  if (data.id !== undefined) ids.add(data.id);
  return { problems, rule: data };
}

/** Valid rules that this server does not accept. */
function forbiddenIn(
  { ttlMs, fault, ignoreReplays }: ParsedRule,
  { isTtlNeeded = false, crashRefusal = null, isJournalMissing = false }: ParseOptions,
): PlacedProblem[] {
  const problems: PlacedProblem[] = [];
  if (isTtlNeeded && ttlMs === null)
    problems.push({
      path: ['ttlMs'],
      message: 'required, because other machines can reach the server; for example "10m"',
    });
  if (crashRefusal !== null && fault.effect === 'crash')
    problems.push({ path: ['fault'], message: crashRefusal });
  if (isJournalMissing && ignoreReplays)
    problems.push({
      path: ['ignoreReplays'],
      message: 'only the journal can recognise a replay; start the server without --no-journal',
    });
  return problems;
}

function withId(rule: ParsedRule, item: unknown, newId: () => string): Rule {
  const id = rule.id ?? newId();
  // A copy, so that a later change of the caller's object does not change the rule.
  return { ...rule, id, given: { id, ...structuredClone(item as Rule['given']) } };
}
