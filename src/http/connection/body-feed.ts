// http/connection/body-feed.ts: the body of a request in batches, with back-pressure to the socket.
//
// Promises: while the caller stores one batch the next is being read; what waits in memory is bounded, and less the
// more requests there are; silence of the client for `idleMs` is an error, silence of the caller is not (§7: no limit
// on a request's total time).
// Must not know: what is in the body.
import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { MessageChannel } from 'node:worker_threads';
import { awakeMs, startTimeout } from '../../core/awake.ts';
import { AppError } from '../../core/errors.ts';
import type { Timer } from '../../core/timers.ts';
import { NoAnswer } from '../observer.ts';

/** The client went away before its body was whole. Nobody reads an answer; it is thrown to unwind, and logged. */
export class ClientGone extends NoAnswer {
  override readonly name = 'ClientGone';

  constructor() {
    super('the client closed the connection before its body was complete');
  }
}

/** Memory that all bodies in flight share. */
export class FeedBudget {
  readonly #totalBytes: number;
  #feeds = 0;

  constructor(totalBytes: number) {
    this.#totalBytes = totalBytes;
  }

  enter(): void {
    this.#feeds += 1;
  }

  leave(): void {
    this.#feeds -= 1;
  }

  /** Bytes that one feed may hold now. At least one socket read, at most what makes writes efficient. */
  get share(): number {
    return Math.min(MAX_SHARE_BYTES, Math.max(READ_BYTES, this.#totalBytes / Math.max(this.#feeds, 1)));
  }
}

/** What is transferred to a closed port is freed. */
const { port1: closedPort } = new MessageChannel();
closedPort.close();

/** Of less the garbage collector makes no mountain. */
const MIN_FREED_BYTES = 16 * 1024;
/** Half of it is written at a time: a megabyte costs the kernel less than its parts one by one (bench/README.md). */
const MAX_SHARE_BYTES = 2 * 1024 * 1024;
/** What one read of a socket brings at most. Where it brings less there is no more, for now. */
const READ_BYTES = 64 * 1024;
/** So much of a client that is slower than we are is worth a write: what it has sent must not wait for a megabyte of it. */
const SLOW_BATCH_BYTES = 256 * 1024;

export class BodyFeed {
  readonly #request: IncomingMessage;
  readonly #budget: FeedBudget;
  readonly #idle: Timer;
  #failure: Error | null = null;
  /** Made when somebody asks: hardly any body is waited for by a signal. */
  #abort: AbortController | null = null;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #received = 0;
  #heardMs = awakeMs();
  #isPaused = false;
  /** While it is us who do not read, nobody is silent. */
  readonly #heard = (): number => (this.#isPaused ? awakeMs() : this.#heardMs);
  #hasEnded = false;
  #isClosed = false;
  #wantedBytes = 0;
  #wake: (() => void) | null = null;

  constructor(request: IncomingMessage, idleMs: number, budget: FeedBudget) {
    this.#request = request;
    this.#budget = budget;
    budget.enter();
    this.#idle = startTimeout(idleMs, () => this.#onIdle(idleMs), this.#heard);
    request
      .on('data', this.#onData)
      .on('end', this.#onEnd)
      .on('close', this.#onGone)
      .on('error', this.#onGone);
  }

  /** Aborted, with the reason, when no more of the body will come. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#failure !== null) this.#abort.abort(this.#failure);
    return this.#abort.signal;
  }

  get receivedBytes(): number {
    return this.#received;
  }

  /** Milliseconds for which the client has sent nothing although it could. */
  silentMs(): number {
    return this.#hasEnded ? 0 : awakeMs() - this.#heard();
  }

  /** Ends the feed from outside: the next `next` rejects with this. */
  fail(error: Error): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#abort?.abort(error);
    this.#wakeUp();
  }

  /**
   * What has come, once that is at least `wantedBytes` or a batch worth writing; null after the end of the body.
   * @throws ClientGone; AppError `request_timeout`; whatever `fail` was given
   */
  async next(wantedBytes = this.#budget.share / 2): Promise<Buffer[] | null> {
    this.#wantedBytes = Math.min(wantedBytes, this.#budget.share / 2);
    if (!this.#isReady) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure !== null) throw this.#failure;
    if (this.#pieces.length === 0) return null;
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#bytes = 0;
    this.#resume();
    return pieces;
  }

  /**
   * Frees the pieces of a batch now. Left to the garbage collector, tens of megabytes of them would wait for it: it counts
   * what a Buffer points to only now and then. Nobody may look at the pieces, or at a slice of one, afterwards.
   */
  giveBack(pieces: readonly Buffer[]): void {
    // Node's parser makes each piece in memory of its own. Anything else may be part of what is not ours.
    if (!(this.#request.socket instanceof Socket)) return;
    const whole = pieces.filter(
      ({ buffer, byteLength }) => byteLength >= MIN_FREED_BYTES && buffer.byteLength === byteLength,
    );
    if (whole.length === 0) return;
    closedPort.postMessage(
      null,
      whole.map(({ buffer }) => buffer as ArrayBuffer),
    );
  }

  /** Lets go of the request. What is left of the body is the answer's business (linger.ts). */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#idle.stop();
    this.#budget.leave();
    this.#request.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onGone);
    this.giveBack(this.#pieces);
    this.#pieces = [];
    if (!this.#hasEnded) this.#request.pause();
  }

  /** A full share is enough whatever was wanted: shares shrink when more requests come, and nothing more is read then. */
  get #isReady(): boolean {
    const isRestThere = (this.#pieces.at(-1)?.length ?? 0) >= READ_BYTES;
    const wantedBytes = isRestThere ? this.#wantedBytes : Math.min(this.#wantedBytes, SLOW_BATCH_BYTES);
    const isEnough = this.#isPaused || (this.#bytes > 0 && this.#bytes >= wantedBytes);
    return this.#hasEnded || this.#failure !== null || isEnough;
  }

  readonly #onData = (piece: Buffer): void => {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    this.#received += piece.length;
    this.#heardMs = awakeMs();
    if (this.#bytes >= this.#budget.share) {
      this.#isPaused = true;
      this.#request.pause();
    }
    if (this.#isReady) this.#wakeUp();
  };

  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    this.#idle.stop();
    this.#wakeUp();
  };

  /** `close` comes after a whole body, too; an error of the socket always comes with it. */
  readonly #onGone = (): void => {
    if (!this.#hasEnded) this.fail(new ClientGone());
  };

  #onIdle(idleMs: number): void {
    this.fail(
      new AppError(
        'request_timeout',
        `no byte of the body came for ${idleMs} ms; nothing of this request was stored, send it again`,
      ),
    );
  }

  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#heardMs = awakeMs();
    this.#request.resume();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
