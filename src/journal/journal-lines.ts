// journal/journal-lines.ts: the lines of a journal file (`--journal-file`): how they are written and read.
//
// A line is valid if and only if it is `{"crc":"<crc>","line":<json>}\n` where
//   (1) <crc> is the CRC-32 of the bytes of <json>, in 8 hexadecimal digits, and
//   (2) <json> is a JournalLine. Its kinds are: an exchange on record (the last line of an amended exchange counts), the end of
//       an exchange, the clearing of a namespace (`*`: all), the rules of a namespace with their counters (the last line
//       counts), and the highest numbers given out.
// A last line without a newline was being written when the process died; it is dropped. Any other invalid line is damage: it
// is left out and counted, and the other lines are used.
import { ALL_NAMESPACES } from '../core/namespace.ts';
import { crc32 } from 'node:zlib';
import { hex32 } from '../core/hex32.ts';
import type { Exchange } from './exchange.ts';

/** Numbers that must never be given out twice. */
export interface Numbers {
  readonly seq: number;
  readonly begun: number;
  readonly connection: number;
}

export type JournalLine =
  | { readonly kind: 'exchange'; readonly exchange: Exchange }
  | ({ readonly kind: 'ended'; readonly seq: number } & Pick<Exchange, 'endedAfter' | 'timing'>)
  | { readonly kind: 'clear'; readonly namespace: string }
  | { readonly kind: 'rules'; readonly namespace: string; readonly rules: readonly object[] }
  | ({ readonly kind: 'numbers' } & Numbers);

/** The content of a file from earlier processes. */
export interface Past extends Numbers {
  /** In order of `seq`. */
  readonly exchanges: readonly Exchange[];
  readonly rules: ReadonlyMap<string, readonly object[]>;
  /** Length of all complete lines, valid or not. Bytes beyond it are an unfinished line. */
  readonly bytes: number;
  /** Numbers of the invalid lines, from 1. */
  readonly damaged: readonly number[];
}

export const NO_PAST: Past = {
  seq: 0,
  begun: 0,
  connection: 0,
  exchanges: [],
  rules: new Map(),
  bytes: 0,
  damaged: [],
};

const NEWLINE = 0x0a;
const HEAD = /^\{"crc":"([0-9a-f]{8})","line":$/;
const HEAD_BYTES = '{"crc":"00000000","line":'.length;

export function encode(line: JournalLine): string {
  const json = JSON.stringify(line);
  return `{"crc":"${hex32(crc32(json))}","line":${json}}\n`;
}

export function numbersOf({ seq, begun, endedAfter, connection }: Exchange): Numbers {
  return { seq, begun: Math.max(begun, endedAfter ?? 0), connection: connection.id };
}

export function highest(one: Numbers, other: Numbers): Numbers {
  return {
    seq: Math.max(one.seq, other.seq),
    begun: Math.max(one.begun, other.begun),
    connection: Math.max(one.connection, other.connection),
  };
}

export function readPast(content: Buffer): Past {
  const fold = new Fold();
  const damaged: number[] = [];
  let start = 0;
  for (let number = 1; ; number += 1) {
    const end = content.indexOf(NEWLINE, start);
    if (end === -1) return { ...fold.past(), bytes: start, damaged };
    const line = decode(content.subarray(start, end));
    if (line === null) damaged.push(number);
    else fold.add(line);
    start = end + 1;
  }
}

function decode(line: Buffer): JournalLine | null {
  const [, crc] = HEAD.exec(line.toString('latin1', 0, HEAD_BYTES)) ?? [];
  const json = line.subarray(HEAD_BYTES, -1);
  if (crc === undefined || line.at(-1) !== 0x7d || hex32(crc32(json)) !== crc) return null;
  // The checksum is right, so the line is as it was written.
  return JSON.parse(json.toString()) as JournalLine;
}

class Fold {
  readonly #exchanges = new Map<number, Exchange>();
  readonly #rules = new Map<string, readonly object[]>();
  #numbers: Numbers = NO_PAST;

  add(line: JournalLine): void {
    if (line.kind === 'exchange') this.#exchange(line.exchange);
    else if (line.kind === 'ended') this.#ended(line);
    else if (line.kind === 'clear') this.#clear(line.namespace);
    else if (line.kind === 'rules') this.#rules.set(line.namespace, line.rules);
    else this.#numbers = highest(this.#numbers, line);
  }

  past(): Omit<Past, 'bytes' | 'damaged'> {
    const exchanges = [...this.#exchanges.values()].toSorted((one, other) => one.seq - other.seq);
    return { ...this.#numbers, exchanges, rules: this.#rules };
  }

  #exchange(exchange: Exchange): void {
    this.#exchanges.set(exchange.seq, exchange);
    this.#numbers = highest(this.#numbers, numbersOf(exchange));
  }

  #ended({ seq, endedAfter, timing }: JournalLine & { kind: 'ended' }): void {
    const exchange = this.#exchanges.get(seq);
    if (exchange !== undefined) this.#exchange({ ...exchange, endedAfter, timing });
  }

  #clear(namespace: string): void {
    for (const [seq, exchange] of this.#exchanges)
      if (namespace === ALL_NAMESPACES || exchange.namespace === namespace) this.#exchanges.delete(seq);
  }
}
