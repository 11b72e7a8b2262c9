// cli/ending.ts: ends the process after a signal, after a defect, or when its server cannot continue (rule D4).
//
// Promises: after `new Ending`, the first signal ends the process within the grace and 2 s. A second signal ends it at once.
// Both hold whatever hangs: a start, a client, a sync or a pipe. A defect is logged once and ends the process with code 1.
import { monotonicMs } from '../core/machine-time.ts';
import type { Log } from '../telemetry/telemetry.ts';
import { startTimer, within } from '../core/timers.ts';
import { killSelf } from './kill.ts';

/** A closed terminal sends SIGHUP. Some supervisors send SIGQUIT or SIGUSR2. */
export const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const;
/** Time after the grace to close the rest. Together with the steps after it, less than the 2 s of rule D4 on a busy machine. */
const CLOSE_MS = 1_300;
/** Time after a second signal: enough to release a data folder when nothing hangs. */
const ABRUPT_CLOSE_MS = 100;
const LOG_MS = 150;
const THREADS_MS = 100;
const THREADS_POLL_MS = 5;

/** The server, as far as closing it is concerned. */
export interface Closable {
  drain(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

export interface EndingOptions {
  readonly log: Log;
  readonly graceMs: number;
}

export class Ending {
  readonly #options: EndingOptions;
  #closable: Promise<Closable> | null = null;
  #hasBegun = false;
  #code = 0;
  #isLeaving = false;

  constructor(options: EndingOptions) {
    this.#options = options;
    for (const signal of SIGNALS) process.on(signal, () => this.#told(signal));
    process.on('uncaughtException', (error) => this.fail(error));
    process.on('unhandledRejection', (reason) => this.fail(reason));
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** Registers what must be closed at the end, even when the end comes before it is open. */
  closes(opening: Promise<Closable>): void {
    this.#closable = opening;
    opening.catch(() => undefined); // The code that opens it reports the failure.
  }

  /** Logs a defect and ends the process. */
  fail(error: unknown): void {
    if (this.#isLeaving) return;
    this.#options.log.logger.fatal({ err: error }, 'the server ends because of a defect');
    this.giveUp();
  }

  /** Ends the process with 1, without a grace. The caller must log the reason before. */
  giveUp(): void {
    this.#code = 1;
    if (this.#hasBegun) void this.#leave();
    else void this.#end(0);
  }

  /** The parent process is gone, and no other process would end this one. */
  orphaned(): void {
    this.#options.log.logger.warn('the parent process is gone: this one ends, too');
    if (!this.#hasBegun) void this.#end(this.#options.graceMs);
  }

  #told(signal: NodeJS.Signals): void {
    const { graceMs, log } = this.#options;
    log.logger.info({ signal }, this.#hasBegun ? 'told to end a second time' : 'draining');
    if (this.#hasBegun) void this.#endAtOnce();
    else void this.#end(graceMs);
  }

  async #end(graceMs: number): Promise<void> {
    this.#hasBegun = true;
    const isClosed = await this.#close(graceMs + CLOSE_MS, (closable) => closable.drain(graceMs));
    if (!isClosed) this.#code = 1;
    await this.#leave();
  }

  async #endAtOnce(): Promise<void> {
    this.#code = 1; // Also when this second end overtakes the first.
    const closing = this.#close(ABRUPT_CLOSE_MS, (closable) => closable.close());
    await inTime(ABRUPT_CLOSE_MS, closing);
    await this.#leave();
  }

  /** A server that is still opening has no requests, so it gets no grace. False: it did not open or close in time. */
  async #close(withinMs: number, work: (closable: Closable) => Promise<void>): Promise<boolean> {
    if (this.#closable === null) return true;
    const closable = await inTime(CLOSE_MS, this.#closable);
    if (closable === null) return false;
    const closing = work(closable).then(
      () => true,
      (err: unknown) => {
        this.#options.log.logger.error({ err }, 'the server could not be closed');
        return false;
      },
    );
    return (await inTime(withinMs, closing)) ?? false;
  }

  async #leave(): Promise<void> {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    const { log } = this.#options;
    await log.written(LOG_MS);
    if (await areThreadsFree()) process.exit(this.#code);
    log.logger.error('a system call does not return: the process kills itself');
    await log.written(LOG_MS);
    // `process.exit` waits for all threads, and a thread that hangs in a sync or a write never ends. Only SIGKILL ends it.
    killSelf();
  }
}

/** Null: the work failed or took too long. */
async function inTime<T>(ms: number, work: Promise<T>): Promise<T | null> {
  let result: T | null = null;
  const ended = work.then(
    (value) => void (result = value),
    () => undefined,
  );
  await within(ms, ended);
  return result;
}

/** Whether no system call runs on a thread of Node's pool, or the running ones end within moments. */
async function areThreadsFree(): Promise<boolean> {
  for (const endMs = monotonicMs() + THREADS_MS; monotonicMs() < endMs;) {
    if (!process.getActiveResourcesInfo().some((type) => /Req/.test(type))) return true;
    await new Promise<void>((resolve) => void startTimer(THREADS_POLL_MS, resolve));
  }
  return false;
}
