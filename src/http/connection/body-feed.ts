// http/connection/body-feed.ts: delivers the body of a request in batches, with back-pressure to the socket.
//
// Promises: the next batch is read while the caller stores the present batch. Memory is bounded, and each feed gets less memory
// when more requests run. A client that sends nothing for `idleMs` causes an error; a slow caller does not (§7: no limit on a
// request's total time).
// Must not know: what the body contains.
import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { MessageChannel } from 'node:worker_threads';
import { awakeMs, startTimeout } from '../../core/awake.ts';
import { AppError } from '../../core/errors.ts';
import type { Timer } from '../../core/timers.ts';
import { NoAnswer } from '../observer.ts';

/**
 * The client closed the connection before its body was complete. No answer can be sent: the error unwinds the route and is
 * logged.
 */
export class ClientGone extends NoAnswer {
  override readonly name = 'ClientGone';

  constructor() {
    super('the client closed the connection before its body was complete');
  }
}

/** The memory that all bodies in flight share, in bytes. */
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

  /** Bytes that one feed may hold now: at least one socket read, at most the size at which writes are efficient. */
  get share(): number {
    return Math.min(MAX_SHARE_BYTES, Math.max(READ_BYTES, this.#totalBytes / Math.max(this.#feeds, 1)));
  }
}

/** A buffer that is transferred to a closed port is freed at once. */
const { port1: closedPort } = new MessageChannel();
closedPort.close();

/** Smaller pieces are cheap to leave to the garbage collector. */
const MIN_FREED_BYTES = 16 * 1024;
/** Half of this is written at a time: one write of a megabyte costs the kernel less than many small writes (bench/README.md). */
const MAX_SHARE_BYTES = 2 * 1024 * 1024;
/** The most that one read of a socket delivers. A shorter read means that the socket has no more bytes for now. */
const READ_BYTES = 64 * 1024;
/**
 * A client that is slower than the server gets its bytes written in batches of this size, so that they do not wait for a full
 * megabyte.
 */
const SLOW_BATCH_BYTES = 256 * 1024;

export class BodyFeed {
  readonly #request: IncomingMessage;
  readonly #budget: FeedBudget;
  readonly #idle: Timer;
  #failure: Error | null = null;
  /** Created on first use, because most bodies need no signal. */
  #abort: AbortController | null = null;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #received = 0;
  #heardMs = awakeMs();
  #isPaused = false;
  /** While the feed is paused, the server does not read, so the client does not count as silent. */
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

  /** Aborts, with the reason, when no more of the body will come. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#failure !== null) this.#abort.abort(this.#failure);
    return this.#abort.signal;
  }

  get receivedBytes(): number {
    return this.#received;
  }

  /** Milliseconds for which the client has sent nothing although the server was reading. */
  silentMs(): number {
    return this.#hasEnded ? 0 : awakeMs() - this.#heard();
  }

  /** Ends the feed from outside: the next call of `next` rejects with this error. */
  fail(error: Error): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#abort?.abort(error);
    this.#wakeUp();
  }

  /**
   * Resolves to the received pieces once they add up to `wantedBytes` or to a batch that is worth writing. Resolves to null
   * after the end of the body.
   * @throws ClientGone; AppError `request_timeout`; the error that `fail` was given
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
   * Frees the memory of a batch now. The garbage collector notices the memory behind a Buffer late, so tens of megabytes would
   * pile up. The caller must not read the pieces, or a slice of a piece, afterwards.
   */
  giveBack(pieces: readonly Buffer[]): void {
    // Node's parser allocates each piece separately. A piece from any other source may share its memory with data that is still
    // in use.
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

  /** Stops reading the request. The answer deals with the rest of the body (linger.ts). */
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

  /** A full share is always enough: shares shrink when more requests come, and a paused feed reads nothing more. */
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

  /** Node emits `close` after a complete body as well. An error of the socket is always followed by `close`. */
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
