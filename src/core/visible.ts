// core/visible.ts: makes foreign text safe to show in a line that a person reads.
//
// Promises: the result is one line, holds no character that controls a terminal or is invisible, and is not wider than asked.
import { inspect } from 'node:util';

/** Control characters, direction marks, marks without width, line separators, lone surrogates. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Characters that most terminals draw two cells wide: Hangul, CJK, fullwidth forms, emoji. */
const WIDE =
  /[\u1100-\u115F\u2E80-\u303E\u3041-\uA4CF\uA960-\uA97F\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\u{1B000}-\u{1B2FF}\u{1F300}-\u{1FAFF}\u{20000}-\u{3FFFD}]|\p{Emoji_Presentation}/u;

const CUT = '…';

/** @param mostCells width in terminal cells; longer text is cut and ends in `…` */
export function visible(text: string, mostCells: number): string {
  // Each character takes at least one cell, so text beyond mostCells + 1 need not be examined.
  return cut(text.slice(0, mostCells + 1).replaceAll(UNSEEN, escaped), mostCells);
}

/** Width in terminal cells. A combining mark counts as one cell, so the result is never too small. */
export function cellsOf(text: string): number {
  let cells = 0;
  for (const character of text) cells += WIDE.test(character) ? 2 : 1;
  return cells;
}

/** Any value, as an error message shows it. */
export function visibleValue(value: unknown, mostCells: number): string {
  const shown = typeof value === 'string' ? JSON.stringify(value) : inspect(value, INSPECTING);
  return visible(shown, mostCells);
}

const INSPECTING = {
  depth: 1,
  breakLength: Number.POSITIVE_INFINITY,
  maxArrayLength: 8,
  maxStringLength: 200,
};

function escaped(character: string): string {
  const named = NAMED[character];
  return named ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

function cut(text: string, mostCells: number): string {
  if (cellsOf(text) <= mostCells) return text;
  let cells = cellsOf(CUT);
  let kept = '';
  for (const character of text) {
    cells += cellsOf(character);
    if (cells > mostCells) break;
    kept += character;
  }
  return kept + CUT;
}
