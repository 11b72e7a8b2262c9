// cli/progress.ts: shows the progress of an upload: a bar on a terminal, otherwise a plain line from time to time.
import { monotonicMs } from '../core/machine-time.ts';

/** Where a command writes text for a person: `process.stdout`, or a collector in a test. */
export interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const CELLS = 32;
/** Number of lines in all, when the output is not a terminal. */
const LINES = 5;
const MIB = 1024 ** 2;

export class Progress {
  readonly #output: Output;
  readonly #totalBytes: number;
  readonly #startedAt = monotonicMs();
  readonly #from: number;
  #lines: number;

  /** @param from bytes that were stored before; they do not count as speed */
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

  /** Keeps the bar as it is; the next text begins on a new line. */
  end(): void {
    if (this.#output.isTTY === true) this.#output.write('\n');
  }

  #lineOf(bytes: number): number {
    return Math.floor((bytes / this.#totalBytes) * LINES);
  }
}
