// telemetry/output.ts: text for stdout or stderr, which may be full, closed, stopped, or a pipe that nobody reads (rule D7).
//
// Promises: `write` never throws and never waits; what cannot be written is kept up to MAX_WAITING and tried again, what
// comes beyond that is dropped and counted, and told of when writing works again; one write is under way at a time.
// Must not know: what the text says.
import { constants, fstatSync, openSync, write as writeTo } from 'node:fs';
import { isatty } from 'node:tty';
import { startTimer, within } from '../core/timers.ts';

type Standard = 1 | 2;

/** UTF-16 units, of what waits and what is being written together. */
const MAX_WAITING = 1024 * 1024;
/** A reader that is slow, or a terminal that is stopped, goes on any moment; a disk that is full stays so for longer. */
const RETRY_MS = { busy: 50, failed: 500 };

export interface OutputOptions {
  /** Writing works again after so many texts were dropped. */
  readonly onDropped?: (texts: number) => void;
}

export class Output {
  readonly #standard: Standard;
  readonly #onDropped: (texts: number) => void;
  #waiting: string[] = [];
  #waitingUnits = 0;
  /** What is being written, or is to be tried again; null when nothing is. */
  #block: Buffer | null = null;
  #blockUnits = 0;
  #dropped = 0;
  #untold = 0;
  #onWritten: (() => void)[] = [];

  constructor(fd: Standard, { onDropped = () => undefined }: OutputOptions = {}) {
    this.#standard = fd;
    this.#onDropped = onDropped;
  }

  /** Texts that were dropped so far. */
  get dropped(): number {
    return this.#dropped;
  }

  write(text: string): void {
    const units = this.#waitingUnits + this.#blockUnits;
    if (units > 0 && units + text.length > MAX_WAITING) {
      this.#dropped += 1;
      this.#untold += 1;
      return;
    }
    this.#waiting.push(text);
    this.#waitingUnits += text.length;
    if (this.#block === null) this.#writeNext();
  }

  /** Resolves when nothing waits any more, or after `withinMs`. */
  async written(withinMs: number): Promise<void> {
    if (this.#block === null) return;
    await within(withinMs, new Promise<void>((resolve) => this.#onWritten.push(resolve)));
  }

  #writeNext(): void {
    this.#block = Buffer.from(this.#waiting.join(''));
    this.#blockUnits = this.#waitingUnits;
    this.#waiting = [];
    this.#waitingUnits = 0;
    this.#writeBlock();
  }

  /** On a thread: a file on a disk that hangs, or a pipe that another process made blocking, must not stop the rest. */
  #writeBlock(): void {
    const block = this.#block;
    if (block === null) return;
    writeTo(nonBlocking(this.#standard), block, 0, block.length, null, (error, bytes) => {
      if (error !== null) return this.#tryLater(error);
      this.#block = block.subarray(bytes);
      if (this.#block.length > 0) return this.#writeBlock();
      this.#wrote();
    });
  }

  /**
   * After any error: what reads a named pipe may come back as well as room on a disk. Unreferenced, since what can never be
   * written must not keep a process from ending.
   */
  #tryLater({ code }: NodeJS.ErrnoException): void {
    const retryMs = code === 'EAGAIN' ? RETRY_MS.busy : RETRY_MS.failed;
    startTimer(retryMs, () => this.#writeBlock(), { isKeepingAlive: false });
  }

  #wrote(): void {
    this.#block = null;
    this.#blockUnits = 0;
    if (this.#untold > 0) {
      const texts = this.#untold;
      this.#untold = 0;
      this.#onDropped(texts);
    }
    if (this.#waiting.length > 0 && this.#block === null) this.#writeNext();
    if (this.#block !== null) return;
    const waiting = this.#onWritten;
    this.#onWritten = [];
    for (const resolve of waiting) resolve();
  }
}

/** What is open is so for the whole process, however many servers it runs; a silent one opens nothing. */
const opened = new Map<Standard, number>();

function nonBlocking(fd: Standard): number {
  const known = opened.get(fd) ?? openNonBlocking(fd);
  opened.set(fd, known);
  return known;
}

/**
 * The same file without blocking: a thread that waits for a reader would keep the process from ending. Pipes and terminals
 * are opened anew, because the flag belongs to what is open, and that is shared with the processes beside us: Node sets it
 * back for all of them when one ends. A file must not be: its position and O_APPEND are shared, too.
 */
function openNonBlocking(fd: Standard): number {
  try {
    if (!fstatSync(fd).isFIFO() && !isatty(fd)) return fd;
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    return openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return fd; // Not Linux, or the pipe of another user.
  } finally {
    // Node's own stream sets the flag: for a socket, and for what could not be opened anew, that has to do.
    void (fd === 1 ? process.stdout : process.stderr);
  }
}
