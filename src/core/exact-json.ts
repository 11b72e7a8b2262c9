// core/exact-json.ts: JSON read without the loss that JSON.parse brings: numbers that JavaScript would give back otherwise than
// they were written (12345678901234567890, 1.0, 1e2), and names that an object has twice.
//
// What would be lost is *marked* in the value: such a number is the text NUL `n` number, a name that comes again is NUL `d`
// place `:` name, and a text that begins with NUL by itself is NUL `t` text.
// Promises: two texts give equal values if and only if they say the same, whatever white space, escapes and order of names.
// Must not know: what the JSON is about. A leaf.

const NUL = '\u0000';
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|[{}[\]]/gs;
const STRING = /"(?:[^"\\]|\\.)*"/gs;
const COLON = /\s*:/y;

/** Of more, what goes through values one in another would run out of stack. */
const MAX_DEPTH = 1_000;

/** The value of a JSON text, with marks. @throws SyntaxError, also when it is nested deeper than MAX_DEPTH */
export function parseExactly(text: string): unknown {
  const lossy: unknown = JSON.parse(text);
  const marked = withMarks(text);
  return marked === text ? lossy : (JSON.parse(marked) as unknown);
}

/**
 * The value without marks: as JSON.parse gives it, or, of an object or an array that this would change, the JSON text that it
 * was read from, but for white space.
 */
export function withoutMarks(value: unknown): unknown {
  if (typeof value === 'string')
    return value.startsWith(NUL) ? (JSON.parse(unmark(JSON.stringify(value))) as unknown) : value;
  if (typeof value !== 'object' || value === null) return value;
  const text = JSON.stringify(value);
  const unmarked = text.replaceAll(STRING, (token) => (token.startsWith('"\\u0000') ? unmark(token) : token));
  return unmarked === text ? value : unmarked;
}

/** @param text valid JSON */
function withMarks(text: string): string {
  /** The names of each object that is open, how often it has each; null for an array. */
  const open: (Set<string> | null)[] = [];
  return text.replaceAll(TOKEN, (token, at: number) => {
    if (open.length > MAX_DEPTH) throw new SyntaxError(`nested deeper than ${MAX_DEPTH}`);
    if (token.startsWith('"'))
      return markedString(token, isName(text, at + token.length) ? open.at(-1) : null);
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(null);
    else if (token === '}' || token === ']') open.pop();
    else if (String(Number(token)) !== token) return JSON.stringify(`${NUL}n${token}`);
    return token;
  });
}

function isName(text: string, end: number): boolean {
  COLON.lastIndex = end;
  return COLON.test(text);
}

/** @param names of the object that it is a name in */
function markedString(token: string, names: Set<string> | null | undefined): string {
  const value = JSON.parse(token) as string;
  const marked = value.startsWith(NUL) ? `${NUL}t${value}` : value;
  if (names === null || names === undefined) return marked === value ? token : JSON.stringify(marked);
  const name = names.has(marked) ? `${NUL}d${names.size}:${value}` : marked;
  names.add(name);
  return name === value ? token : JSON.stringify(name);
}

/** The name, if an object had it before. */
export function secondNameIn(name: string): string | null {
  return name.startsWith(`${NUL}d`) ? name.slice(name.indexOf(':') + 1) : null;
}

function unmark(token: string): string {
  const marked = JSON.parse(token) as string;
  const [kind, rest] = [marked[1], marked.slice(2)];
  if (kind === 'n') return rest;
  return JSON.stringify(kind === 'd' ? rest.slice(rest.indexOf(':') + 1) : rest);
}
