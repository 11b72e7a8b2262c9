// faults/answer-headers.ts: the headers that a `status` fault gives to its answer (behaviour §10), such as a redirect's
// Location, a challenge or a rate limit.
//
// Headers are valid if and only if they are an object of at most MAX_NAMES names, 8 KiB in all, in which
//   (1) every name is a token (RFC 9110 §5.6.2), occurs once regardless of case, and is not in RESERVED;
//   (2) every value is Latin-1 text without control characters, a number, or a list of these with one line each.
// Otherwise Node would throw in the middle of an exchange, or the frame of the answer would break.
import { z } from 'zod';

const MAX_NAMES = 32;
const MAX_LINES = 16;
/** With the server's own headers this stays below 16 KiB, the most that clients read of a head. */
const MAX_CHARACTERS = 8192;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Printable ASCII and the upper half of Latin-1, without the C1 controls. */
const TEXT = /^[\x20-\x7e\xa0-\xff]*$/;

/** Headers that frame the message belong to the server, and the rule named in the answer must be true. By lower-case name. */
const RESERVED: ReadonlyMap<string, string> = new Map([
  ['content-length', 'frames the answer; the effect `truncate` breaks the frame'],
  ['transfer-encoding', 'frames the answer; the effect `garbage` breaks the frame'],
  ['connection', 'ends or keeps the connection; `"closing": true` closes it'],
  ['keep-alive', 'is about the connection; `"closing": true` closes it'],
  ['upgrade', 'changes the protocol of the connection'],
  ['trailer', 'frames the answer'],
  ['x-mock-fault', 'names the rule that touched the answer'],
]);

const NO_LINES = 'expected a text, or a list of texts';

const line = z
  .union([z.string(), z.number()], { error: NO_LINES })
  .transform(String)
  .pipe(z.string().regex(TEXT, 'expected Latin-1 text without control characters'));

const lines = z
  .union([line, z.array(line).min(1).max(MAX_LINES, `expected at most ${MAX_LINES} lines`)], {
    error: NO_LINES,
  })
  .transform((value) => [value].flat());

/** By lower-case name: the lines of each header. */
export const answerHeaders = z
  .record(z.string(), lines, { error: 'expected an object such as {"Location": "/elsewhere"}' })
  .transform((headers, context) => {
    for (const [path, message] of problemsIn(headers)) context.addIssue({ code: 'custom', path, message });
    return Object.fromEntries(Object.entries(headers).map(([name, values]) => [name.toLowerCase(), values]));
  });

function problemsIn(headers: Readonly<Record<string, readonly string[]>>): [string[], string][] {
  const names = Object.keys(headers);
  const seen = new Set<string>();
  const problems = names.flatMap((name): [string[], string][] => {
    const problem = problemOf(name, seen);
    seen.add(name.toLowerCase());
    return problem === null ? [] : [[[name], problem]];
  });
  if (names.length > MAX_NAMES) problems.push([[], `got ${names.length} names; at most ${MAX_NAMES}`]);
  const characters = Object.entries(headers).reduce(
    (sum, [name, values]) => sum + values.reduce((total, value) => total + name.length + value.length, 0),
    0,
  );
  if (characters > MAX_CHARACTERS)
    problems.push([[], `got ${characters} characters; at most ${MAX_CHARACTERS}`]);
  return problems;
}

function problemOf(name: string, seen: ReadonlySet<string>): string | null {
  if (!TOKEN.test(name)) return 'is not a header name; expected a token of letters, digits and "-"';
  const reserved = RESERVED.get(name.toLowerCase());
  if (reserved !== undefined) return `cannot be set: it ${reserved}`;
  return seen.has(name.toLowerCase()) ? 'given twice; a list of texts is several lines' : null;
}
