// cli/progress.ts: how far an upload is: a bar that redraws itself on a terminal, now and then a plain line elsewhere.
//
// Must not know: what is uploaded.
import { monotonicMs } from '../core/machine-time.ts';

/** Where a command writes what a person reads: `process.stdout`, or a test's collector. */
export interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const CELLS = 32;
/** Elsewhere than on a terminal: one line each time this share of the whole is passed. */
const LINES = 5;
const MIB = 1024 ** 2;

export class Progress {
  readonly #output: Output;
  readonly #totalBytes: number;
  readonly #startedAt = monotonicMs();
  readonly #from: number;
  #lines: number;

  /** @param from bytes that were there already: they do not count as speed */
  constructor(output: Output, totalBytes: number, from = 0) {
    this.#output = output;
    this.#totalBytes = totalBytes;
    this.#from = from;
    this.#lines = this.#lineOf(from);
    if (output.isTTY === true) this.show(from);
  }

  show(bytes: number): void {
    const share = bytes / this.#totalBytes;
    const seconds = (monotonicMs() - this.#startedAt) / 1000;
    const speed = bytes > this.#from ? `  ${Math.round((bytes - this.#from) / MIB / seconds)} MiB/s` : '';
    const text = `${String(bytes / MIB).padStart(4)} of ${this.#totalBytes / MIB} MiB${speed}`;
    if (this.#output.isTTY === true) {
      const filled = Math.round(share * CELLS);
      this.#output.write(`\r    ${'█'.repeat(filled)}${'░'.repeat(CELLS - filled)} ${text}\u001B[K`);
    } else if (this.#lineOf(bytes) > this.#lines) {
      this.#lines = this.#lineOf(bytes);
      this.#output.write(`    ${text}\n`);
    }
  }

  /** Leaves the bar as it is; what is written next begins on a line of its own. */
  end(): void {
    if (this.#output.isTTY === true) this.#output.write('\n');
  }

  #lineOf(bytes: number): number {
    return Math.floor((bytes / this.#totalBytes) * LINES);
  }
}
