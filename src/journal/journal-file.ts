// journal/journal-file.ts: keeps the journal, and the rules with their counters, in a file that survives restarts and crashes
// (`--journal-file`). journal/journal-lines.ts describes the format.
//
// Promises: lines are appended in order, one write at a time, within moments. When `writeNow` returns, the lines are synced.
// When the file is twice as large as its content needs, it is written anew in the background, so it stays bounded.
// A failure never reaches a client: it is logged once, and the whole file is written anew as soon as that succeeds.
import { closeSync, fsyncSync, openSync, renameSync, write, writeFileSync, writeSync } from 'node:fs';
import { open, readFile, truncate } from 'node:fs/promises';
import type { Logger } from 'pino';
import { isAbsent } from '../core/system-errors.ts';
import { ConfigError } from '../config/config.ts';
import type { Exchange } from './exchange.ts';
import {
  encode,
  highest,
  NO_PAST,
  numbersOf,
  readPast,
  type JournalLine,
  type Numbers,
  type Past,
} from './journal-lines.ts';
import { monotonicMs, setImmediate } from '../core/machine-time.ts';

/** Least pause after a failure before the next try. */
const RETRY_MS = 1_000;
/** Bound on the lines that wait for a slow disk, in UTF-16 units; beyond it the file is written anew. */
const MAX_WAITING = 16 * 1024 * 1024;

/** The present content that the file must hold. */
export interface Held {
  readonly exchanges: () => Iterable<Exchange>;
  readonly rules: () => Iterable<readonly [namespace: string, rules: readonly object[]]>;
  readonly rulesOf: (namespace: string) => readonly object[];
}

export interface JournalFileOptions {
  readonly path: string;
  /** The file may always grow to this size, and otherwise to twice its content. */
  readonly maxBytes: number;
  readonly logger: Logger;
}

/** Reads the file and prepares it for appending. @throws ConfigError */
export async function openJournalFile(
  options: JournalFileOptions,
): Promise<{ readonly file: JournalFile; readonly past: Past }> {
  const { path, logger } = options;
  try {
    const content = await readFile(path).catch((error: unknown) => {
      if (isAbsent(error)) return Buffer.alloc(0);
      throw error;
    });
    const past = content.length === 0 ? NO_PAST : readPast(content);
    await (await open(path, 'a')).close();
    if (past.bytes < content.length) {
      await truncate(path, past.bytes);
      logger.warn(
        { path, tornBytes: content.length - past.bytes },
        'the last line of the journal file was not finished: left out',
      );
    }
    if (past.damaged.length > 0) {
      const lines = past.damaged.slice(0, 20);
      logger.error(
        { path, damaged: past.damaged.length, lines },
        'lines of the journal file are damaged: left out',
      );
    }
    return { file: new JournalFile(options, past), past };
  } catch (error) {
    throw new ConfigError(`journalFile: ${path} cannot be used: ${(error as Error).message}`);
  }
}

export class JournalFile {
  readonly #options: JournalFileOptions;
  #fd: number;
  #held: Held | null = null;
  #numbers: Numbers;
  #bytes: number;
  /** Above this size the file is written anew. */
  #limit: number;
  #waiting: string[] = [];
  #waitingUnits = 0;
  readonly #changedRules = new Set<string>();
  #isBusy = false;
  #isComing = false;
  #isClosed = false;
  /** Some line is missing in the file, so it must be written anew. */
  #isBehind = false;
  #failedMs = Number.NEGATIVE_INFINITY;
  #onIdle: (() => void)[] = [];

  constructor(options: JournalFileOptions, past: Past) {
    this.#options = options;
    this.#fd = openSync(options.path, 'a');
    this.#numbers = past;
    this.#bytes = past.bytes;
    this.#limit = Math.max(options.maxBytes, 2 * past.bytes);
  }

  /** To be called once, before the first line. */
  holds(held: Held): void {
    this.#held = held;
  }

  keep(line: JournalLine): void {
    if (line.kind === 'exchange') this.#numbers = highest(this.#numbers, numbersOf(line.exchange));
    this.#add(encode(line));
  }

  /** The rules are read only when the line is written, so many changes in one turn make one line. */
  rulesChanged(namespace: string): void {
    this.#changedRules.add(namespace);
    this.#come();
  }

  /** Blocks until everything is in the file and synced, or until that has failed. */
  writeNow(): void {
    try {
      // The old descriptor stays open: a write on another thread may still use it.
      if (this.#isBehind || this.#isBusy)
        return void this.#replace(this.#writeWhole(`${this.#options.path}.now`));
      this.#addRules();
      writeSync(this.#fd, this.#take());
      fsyncSync(this.#fd);
    } catch (error) {
      this.#failed(error as Error);
    }
  }

  /** Resolves when everything is written or cannot be written. */
  async close(): Promise<void> {
    await this.#whenIdle();
    if (this.#isBehind) this.writeNow();
    else this.#writeNext();
    await this.#whenIdle();
    this.#isClosed = true;
    closeSync(this.#fd);
  }

  async #whenIdle(): Promise<void> {
    while (this.#isBusy) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  #add(text: string): void {
    if (this.#isBehind) return this.#come(); // The new file will hold it.
    this.#waiting.push(text);
    this.#waitingUnits += text.length;
    if (this.#waitingUnits > MAX_WAITING) this.#failed(new Error('the disk does not keep up'));
    this.#come();
  }

  #come(): void {
    if (this.#isComing || this.#isBusy || this.#isClosed) return;
    this.#isComing = true;
    setImmediate(() => {
      this.#isComing = false;
      this.#writeNext();
    });
  }

  #addRules(): void {
    for (const namespace of this.#changedRules)
      this.#waiting.push(encode({ kind: 'rules', namespace, rules: this.#held?.rulesOf(namespace) ?? [] }));
    this.#changedRules.clear();
  }

  #take(): string {
    const text = this.#waiting.join('');
    this.#waiting = [];
    this.#waitingUnits = 0;
    return text;
  }

  #writeNext(): void {
    if (this.#isBusy || this.#isClosed) return;
    if (this.#isBehind || this.#bytes > this.#limit) return this.#writeAnew();
    this.#addRules();
    const text = this.#take();
    if (text === '') return;
    this.#isBusy = true;
    this.#append(Buffer.from(text));
  }

  #append(block: Buffer): void {
    write(this.#fd, block, 0, block.length, null, (error, bytes) => {
      this.#bytes += bytes;
      if (error === null && bytes < block.length) return this.#append(block.subarray(bytes));
      if (error !== null) this.#failed(error);
      this.#idle();
    });
  }

  #idle(): void {
    this.#isBusy = false;
    for (const resolve of this.#onIdle.splice(0)) resolve();
    if (this.#waiting.length > 0 || this.#changedRules.size > 0) this.#come();
  }

  /** In the background. Lines that come meanwhile are appended to the new file. */
  #writeAnew(): void {
    if (monotonicMs() - this.#failedMs < RETRY_MS) return;
    this.#isBusy = true;
    this.#isBehind = false;
    const path = `${this.#options.path}.new`;
    const content = this.#whole();
    const writing = async (): Promise<void> => {
      const handle = await open(path, 'w');
      try {
        await handle.writeFile(content);
        await handle.datasync();
      } finally {
        await handle.close();
      }
      closeSync(this.#replace(path));
      this.#bytes = Buffer.byteLength(content);
      this.#limit = Math.max(this.#options.maxBytes, 2 * this.#bytes);
    };
    void writing()
      .catch((error: unknown) => this.#failed(error as Error))
      .finally(() => this.#idle());
  }

  /** The whole content, which replaces the waiting lines. */
  #whole(): string {
    this.#changedRules.clear();
    this.#take();
    const lines = [encode({ kind: 'numbers', ...withoutRest(this.#numbers) })];
    for (const [namespace, rules] of this.#held?.rules() ?? [])
      lines.push(encode({ kind: 'rules', namespace, rules }));
    for (const exchange of this.#held?.exchanges() ?? []) lines.push(encode({ kind: 'exchange', exchange }));
    return lines.join('');
  }

  #writeWhole(path: string): string {
    const content = this.#whole();
    writeFileSync(path, content, { flush: true });
    this.#bytes = Buffer.byteLength(content);
    return path;
  }

  /** In one turn, so that no line is appended to the replaced file. Returns the descriptor of the replaced file. */
  #replace(path: string): number {
    renameSync(path, this.#options.path);
    const before = this.#fd;
    this.#fd = openSync(this.#options.path, 'a');
    this.#isBehind = false;
    if (this.#failedMs !== Number.NEGATIVE_INFINITY)
      this.#options.logger.info(
        { path: this.#options.path },
        'the journal file can be written again and is complete',
      );
    this.#failedMs = Number.NEGATIVE_INFINITY;
    return before;
  }

  #failed(err: Error): void {
    const isFirst = this.#failedMs === Number.NEGATIVE_INFINITY;
    this.#failedMs = monotonicMs();
    this.#isBehind = true;
    this.#take();
    if (isFirst)
      this.#options.logger.error(
        { err, path: this.#options.path },
        'the journal file cannot be written: exchanges go on, and are kept in memory',
      );
  }
}

function withoutRest({ seq, begun, connection }: Numbers): Numbers {
  return { seq, begun, connection };
}
