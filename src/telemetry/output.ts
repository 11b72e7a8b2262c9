// telemetry/output.ts: writes text to stdout or stderr. These may be full, closed, stopped, or a pipe without a reader (rule D7).
//
// Promises: `write` never throws and never waits. Text that cannot be written is kept up to MAX_WAITING and tried again.
// Text beyond that is dropped and counted; the count is reported when writing works again. Only one write runs at a time.
import { constants, fstatSync, openSync, write as writeTo } from 'node:fs';
import { isatty } from 'node:tty';
import { startTimer, within } from '../core/timers.ts';

type Standard = 1 | 2;

/** In UTF-16 units, for the waiting text and the text being written together. */
const MAX_WAITING = 1024 * 1024;
/** In milliseconds. A slow reader or a stopped terminal may continue at any moment; a full disk stays full for longer. */
const RETRY_MS = { busy: 50, failed: 500 };

export interface OutputOptions {
  /** Called when writing works again after this number of texts was dropped. */
  readonly onDropped?: (texts: number) => void;
}

export class Output {
  readonly #standard: Standard;
  readonly #onDropped: (texts: number) => void;
  #waiting: string[] = [];
  #waitingUnits = 0;
  /** The text that is being written or will be tried again; null when there is none. */
  #block: Buffer | null = null;
  #blockUnits = 0;
  #dropped = 0;
  #untold = 0;
  #onWritten: (() => void)[] = [];

  constructor(fd: Standard, { onDropped = () => undefined }: OutputOptions = {}) {
    this.#standard = fd;
    this.#onDropped = onDropped;
  }

  /** Number of texts dropped so far. */
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

  /** Resolves when no text waits any more, or after `withinMs`. */
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

  /** Writes on a thread: a hanging disk, or a pipe that another process made blocking, must not stop the event loop. */
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
   * Tries again after any error: the reader of a named pipe may come back, and a disk may get room. The timer is unreferenced,
   * because text that can never be written must not keep the process alive.
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

/** A descriptor is opened once for the whole process and shared by its servers. A silent server opens none. */
const opened = new Map<Standard, number>();

function nonBlocking(fd: Standard): number {
  const known = opened.get(fd) ?? openNonBlocking(fd);
  opened.set(fd, known);
  return known;
}

/**
 * Opens the same file again without blocking: a thread that waits for a reader would keep the process from ending. Pipes and
 * terminals are opened again because the flag belongs to the open file description, which other processes share; Node resets
 * the flag for all of them when one process ends. A regular file is not opened again: its position and O_APPEND are shared, too.
 */
function openNonBlocking(fd: Standard): number {
  try {
    if (!fstatSync(fd).isFIFO() && !isatty(fd)) return fd;
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    return openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return fd; // The system is not Linux, or another user owns the pipe.
  } finally {
    // Node's own stream sets the flag. For sockets, and for files that cannot be opened again, this must be enough.
    void (fd === 1 ? process.stdout : process.stderr);
  }
}
