// cli/general-lines.ts: shows log lines that do not concern a request, for a person at a terminal.
//
// Promises: no text controls the terminal. An unexpected error is shown with its stack.
import { visible, visibleValue } from '../core/visible.ts';
import type { Style } from './styles.ts';

/** A line as the logger wrote it. */
export interface LogFacts {
  readonly level: number;
  readonly time: number;
  readonly msg?: string;
  readonly [fact: string]: unknown;
}

type Styling = (text: string, style: Style) => string;

const WORDS: Readonly<Record<number, readonly [word: string, style: Style]>> = {
  10: ['trace', 'dim'],
  20: ['debug', 'dim'],
  40: ['warning', 'refused'],
  50: ['error', 'failed'],
  60: ['fatal', 'failed'],
};
const ERROR = 50;
const MOST_CELLS = 400;
const MOST_VALUE_CELLS = 120;
const MOST_STACK_LINES = 12;

export function generalLine(facts: LogFacts, styled: Styling): string[] {
  const { level, time, msg = '', err, ...others } = facts;
  const [word, style] = WORDS[level] ?? [];
  const head = [
    styled(clock(time), 'dim'),
    ...(word === undefined || style === undefined ? [] : [styled(word, style)]),
    visible(msg, MOST_CELLS),
    ...Object.entries(others).map(([name, value]) => styled(pairOf(name, value), 'dim')),
  ];
  const { message, stack } = errorIn(err);
  const why = message === '' || message === msg ? [] : [`  ${visible(message, MOST_CELLS)}`];
  const trace = level < ERROR ? [] : stack.map((line) => styled(`  ${visible(line, MOST_CELLS)}`, 'dim'));
  return [head.join(' '), ...why, ...trace];
}

function pairOf(name: string, value: unknown): string {
  const text = typeof value === 'string' && !value.includes(' ') ? visible(value, MOST_VALUE_CELLS) : null;
  return `${visible(name, MOST_VALUE_CELLS)}=${text ?? visibleValue(value, MOST_VALUE_CELLS)}`;
}

/** The error in the form in which pino writes it. */
function errorIn(err: unknown): { message: string; stack: readonly string[] } {
  if (typeof err !== 'object' || err === null) return { message: '', stack: [] };
  const { message, stack } = err as { readonly message?: unknown; readonly stack?: unknown };
  const lines = typeof stack === 'string' ? stack.split('\n') : [];
  const calls = lines.filter((line) => /^\s+at /.test(line)).slice(0, MOST_STACK_LINES);
  return { message: typeof message === 'string' ? message : '', stack: calls.map((line) => line.trim()) };
}

/** Local time. */
export function clock(timeMs: number): string {
  const time = new Date(timeMs);
  return [time.getHours(), time.getMinutes(), time.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
}
