// cli/terminal-lines.ts: shows log lines (JSON, as on a pipe) for a person at a terminal.
//
// Promises: one line per request. If a rule broke the request, the line names the rule and what it did. A rule that delays a
// request gets a second line at the beginning of the delay. No text from a client can move the cursor, hide, or look like
// another line. The line of a request fits a terminal of 80 columns or more. Successful probes are shown only at `debug`.
import { cellsOf, visible } from '../core/visible.ts';
import { clock, generalLine, type LogFacts } from './general-lines.ts';
import { STYLES, type Style } from './styles.ts';

export interface TerminalOptions {
  /** The present width of the terminal, which may change. */
  readonly columns: () => number;
  readonly isColoured: boolean;
  readonly isVerbose: boolean;
}

const ENDED = ['request', 'the connection ended before the answer was sent'];
const FIRED = 'a rule fired';
/** Effects that delay a request, or after which no line about its end can come. */
const HOLDING = ['stall', 'delay', 'throttle', 'crash'];
/** Bound on unfinished requests that a rule changed. Beyond it the oldest are forgotten: probably they never get an end line. */
const MOST_REMEMBERED = 500;

const PROBES = ['/__admin/health', '/__admin/ready', '/__admin/metrics'];

/** Names for people of the operations of the contract. */
const CALLED: Readonly<Record<string, readonly [method: string, what: string]>> = {
  uploadChunk: ['POST', 'chunk'],
  getUploadStatus: ['GET', 'status'],
  createVideo: ['POST', 'video'],
  createImage: ['POST', 'image'],
  getVideo: ['GET', 'video'],
  getImage: ['GET', 'image'],
  listChannels: ['GET', 'channels'],
  listProfiles: ['GET', 'profiles'],
};
/** The name that http/exchange.ts gives to a path without a route. */
const NO_ROUTE = 'unknown';

/** Least width of an id and of a rule's name on a narrow terminal. */
const LEAST_CELLS = 6;
const MOST_RULE_CELLS = 32;
/** Greatest width of all other parts of a request's line. */
const MOST_OTHERS = 64;

/** The effect of a rule on a request. */
interface Fault {
  readonly rule: string;
  readonly deed: string;
}

/** A piece of a line; plain without a style. */
interface Piece {
  readonly text: string;
  readonly style?: Style;
}

interface Around {
  readonly before: readonly Piece[];
  readonly after: readonly Piece[];
  readonly fault: Fault | undefined;
}

export class TerminalLines {
  readonly #options: TerminalOptions;
  /** Effects of rules on unfinished requests, by request id. */
  readonly #faults = new Map<string, Fault>();

  constructor(options: TerminalOptions) {
    this.#options = options;
  }

  /** With the newline. Empty: nothing is shown. */
  format(json: string): string {
    const facts = JSON.parse(json) as LogFacts;
    const { msg, operation } = facts;
    if (msg === FIRED) return this.#fired(facts);
    const isEnded = ENDED.includes(msg ?? '');
    // A request that was left unanswered has an operation and no status (http/routes/replies.ts).
    if (!isEnded && (typeof operation !== 'string' || facts.level !== 30)) {
      const lines = generalLine(facts, (text, style) => this.#styled({ text, style }));
      return lines.map((line) => `${line}\n`).join('');
    }
    return this.#isHidden(facts) ? '' : `${this.#requestLine(facts)}\n`;
  }

  #isHidden({ operation, status }: LogFacts): boolean {
    return !this.#options.isVerbose && PROBES.includes(String(operation)) && Number(status) < 400;
  }

  #fired({ time, reqId, ruleId, effect, phase, atByte, explain }: LogFacts): string {
    const place = atByte === undefined ? '' : `:${shown(atByte, 20)}`;
    const rule = shown(ruleId, MOST_RULE_CELLS);
    const fault = { rule, deed: `${shown(effect, 20)}@${shown(phase, 20)}${place}` };
    if (this.#faults.size >= MOST_REMEMBERED) this.#faults.delete(this.#faults.keys().next().value ?? '');
    this.#faults.set(String(reqId), fault);
    if (!HOLDING.includes(String(effect))) return '';
    const room = this.#options.columns() - cellsOf(`${clock(time)} ${FAULT.text} `);
    // Only the effect, which is the last part of the sentence (faults/explain.ts), without the condition.
    const deed = shown(explain, 1_000).split(': ').at(-1) ?? '';
    const sentence = visible(`${rule}: ${deed}`, Math.max(room, 40));
    return `${this.#line([dim(clock(time)), FAULT, { text: sentence }])}\n`;
  }

  #requestLine(facts: LogFacts): string {
    const { time, reqId, operation } = facts;
    const name = String(operation);
    const [method, what] = CALLED[name] ?? [
      shown(facts['method'] ?? '', 10),
      name === NO_ROUTE ? 'unknown path' : shown(name, Math.max(this.#options.columns() - MOST_OTHERS, 16)),
    ];
    const fault = this.#faults.get(String(reqId));
    this.#faults.delete(String(reqId));
    const before = [dim(clock(time)), { text: `${method} ${what}` }, ...chunkOf(facts)];
    const after = [{ text: '→' }, ...resultOf(facts, fault !== undefined), ...timeOf(facts)];
    const line = [...before, ...this.#fitted(facts, { before, after, fault })];
    const namespace = shown(facts['namespace'] ?? 'public', 24);
    const isRoom = widthOf(line) + 1 + cellsOf(namespace) < this.#options.columns();
    return this.#line(namespace !== 'public' && isRoom ? [...line, dim(namespace)] : line);
  }

  /** Ids and the rule's name share the remaining width. The rule's name gets it first; ids keep at least LEAST_CELLS. */
  #fitted(facts: LogFacts, { before, after, fault }: Around): Piece[] {
    const taken = widthOf(before) + widthOf(after) + 1;
    const room = this.#options.columns() - taken;
    if (fault === undefined) return [...idsOf(facts, Math.max(room - 1, LEAST_CELLS)), ...after];
    const others = cellsOf(` ${FAULT.text} : ${fault.deed}`);
    const wanted = Math.min(widthOf(idsOf(facts, LEAST_CELLS)) + 1, LEAST_CELLS + 1);
    const rule = visible(fault.rule, Math.max(room - others - wanted, LEAST_CELLS));
    const ids = idsOf(facts, Math.max(room - others - cellsOf(rule) - 1, LEAST_CELLS));
    const line = [...ids, ...after, FAULT];
    const left = this.#options.columns() - widthOf([...before, ...line]) - 1;
    return [...line, { text: visible(`${rule}: ${fault.deed}`, Math.max(left, LEAST_CELLS)), style: 'bold' }];
  }

  #line(pieces: readonly Piece[]): string {
    return pieces.map((piece) => this.#styled(piece)).join(' ');
  }

  #styled({ text, style }: { readonly text: string; readonly style?: Style | undefined }): string {
    if (style === undefined || !this.#options.isColoured) return text;
    return `${STYLES[style]}${text}${STYLES.plain}`;
  }
}

const FAULT: Piece = { text: 'fault', style: 'mark' };

function dim(text: string): Piece {
  return { text, style: 'dim' };
}

function widthOf(pieces: readonly Piece[]): number {
  return pieces.reduce((cells, { text }) => cells + cellsOf(text) + 1, -1);
}

function shown(value: unknown, cells: number): string {
  return visible(String(value), cells);
}

function chunkOf({ operation, chunkIndex, totalChunks }: LogFacts): Piece[] {
  if (operation !== 'uploadChunk' || chunkIndex === undefined) return [];
  return [
    { text: `${shown(chunkIndex, 10)}${totalChunks === undefined ? '' : `/${shown(totalChunks, 10)}`}` },
  ];
}

function idsOf({ fileId, mediaId }: LogFacts, cells: number): Piece[] {
  const ids = [mediaId, fileId].filter((id) => typeof id === 'string');
  return ids.length === 0 ? [] : [{ text: visible(ids.join(' of '), cells), style: 'bold' }];
}

function resultOf({ status, code = '', bytes, msg }: LogFacts, isHit: boolean): Piece[] {
  if (status === undefined || msg === ENDED[1]) {
    const cut = status === undefined ? 'no answer' : 'answer cut off';
    return [{ text: isHit ? cut : 'the client left', style: 'failed' }];
  }
  const result = {
    text: shown(`${shown(status, 3)} ${shown(code, 40)}`.trim(), 44),
    ...styleOf(Number(status)),
  };
  return Number(status) < 300 && Number(bytes) > 0 ? [result, { text: sizeOf(Number(bytes)) }] : [result];
}

function styleOf(status: number): Pick<Piece, 'style'> {
  if (status >= 500) return { style: 'failed' };
  return status >= 400 ? { style: 'refused' } : {};
}

function timeOf({ ms }: LogFacts): Piece[] {
  if (typeof ms !== 'number') return [];
  return [dim(ms < 10_000 ? `${ms < 10 ? ms : Math.round(ms)} ms` : `${Math.round(ms / 100) / 10} s`)];
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB'] as const;

function sizeOf(bytes: number): string {
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  return `${Math.round((bytes / 1024 ** power) * 10) / 10} ${UNITS[power] ?? ''}`;
}
