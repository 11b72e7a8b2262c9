// core/exact-json.ts: reads JSON without the losses of JSON.parse: numbers that JavaScript would write differently
// (12345678901234567890, 1.0, 1e2), and names that occur twice in one object.
//
// The value holds *marks* in place of what would be lost. Such a number becomes the text NUL `n` number. A repeated name
// becomes NUL `d` place `:` name. A text that itself begins with NUL becomes NUL `t` text.
// Promises: two texts give equal values if and only if they say the same; white space, escapes and the order of names
// do not matter.

const NUL = '\u0000';
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|[{}[\]]/gs;
const STRING = /"(?:[^"\\]|\\.)*"/gs;
const COLON = /\s*:/y;

/** Deeper nesting would exhaust the stack of functions that walk through the value recursively. */
const MAX_DEPTH = 1_000;

/** The value of a JSON text, with marks. @throws SyntaxError also when the text is nested deeper than MAX_DEPTH */
export function parseExactly(text: string): unknown {
  const lossy: unknown = JSON.parse(text);
  const marked = withMarks(text);
  return marked === text ? lossy : (JSON.parse(marked) as unknown);
}

/**
 * The value without marks, as JSON.parse gives it. If JSON.parse would change an object or array, the result is the JSON text
 * that it was read from, without its white space.
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
  /** For each open object: its names and how often each occurred. Null for an array. */
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

/** @param names the names of the object if the token is one of its names */
function markedString(token: string, names: Set<string> | null | undefined): string {
  const value = JSON.parse(token) as string;
  const marked = value.startsWith(NUL) ? `${NUL}t${value}` : value;
  if (names === null || names === undefined) return marked === value ? token : JSON.stringify(marked);
  const name = names.has(marked) ? `${NUL}d${names.size}:${value}` : marked;
  names.add(name);
  return name === value ? token : JSON.stringify(name);
}

/** The name, if the mark is that of a repeated name. */
export function secondNameIn(name: string): string | null {
  return name.startsWith(`${NUL}d`) ? name.slice(name.indexOf(':') + 1) : null;
}

function unmark(token: string): string {
  const marked = JSON.parse(token) as string;
  const [kind, rest] = [marked[1], marked.slice(2)];
  if (kind === 'n') return rest;
  return JSON.stringify(kind === 'd' ? rest.slice(rest.indexOf(':') + 1) : rest);
}
