// exchange/live-exchanges.ts: the exchanges in flight, for queries, and for a reset, which ends them (behaviour §9).
//
// Promises: an exchange is in this set from its key check until its connection is done with it.
// Must not know: how an exchange is observed.
import { ALL_NAMESPACES } from '../core/namespace.ts';
import { AppError } from '../core/errors.ts';
import type { ExchangeInFlight } from '../journal/in-flight.ts';

/** An exchange in flight. */
export interface LiveExchange {
  readonly operation: string;
  namespaceNow(): string;
  /** Null: the exchange must not be told, or its client has the complete answer. */
  soFar(): ExchangeInFlight | null;
  /** Whether a rule has the exchange and may hold it. */
  isHeld(): boolean;
  /** From now on, the exchange is neither recorded nor told. */
  forget(): void;
  /**
   * Stops the exchange from making its change. It is answered with the error, or cut if its answer has begun. Resolves when no
   * change is being made.
   */
  refuse(error: Error): Promise<void>;
}

export class LiveExchanges {
  readonly #live = new Set<LiveExchange>();

  add(exchange: LiveExchange): void {
    this.#live.add(exchange);
  }

  remove(exchange: LiveExchange): void {
    this.#live.delete(exchange);
  }

  /** The exchanges of a namespace, or of all (`*`), in the order in which their heads were read. */
  inFlight(namespace = ALL_NAMESPACES): ExchangeInFlight[] {
    const known = this.#of(namespace).flatMap((exchange) => exchange.soFar() ?? []);
    return known.toSorted((a, b) => a.begun - b.begun);
  }

  /**
   * Ends the exchanges of a namespace, or of all (`*`), for a reset of these scopes. A request that would change the reset
   * state, or that a removed rule has, is refused. No exchange goes on record afterwards. Resolves when no exchange is changing
   * anything.
   */
  async end(namespace: string, scopes: readonly string[]): Promise<void> {
    const all = this.#of(namespace);
    if (scopes.includes('journal')) for (const exchange of all) exchange.forget();
    const ended = all.filter((exchange) => isEnded(exchange, scopes));
    await Promise.all(ended.map((exchange) => exchange.refuse(resetMeanwhile(scopes))));
  }

  #of(namespace: string): LiveExchange[] {
    return [...this.#live].filter((one) => namespace === ALL_NAMESPACES || one.namespaceNow() === namespace);
  }
}

const MAKING_MEDIA = ['createVideo', 'createImage'];
const UPLOADING = ['uploadChunk', ...MAKING_MEDIA];

function isEnded(exchange: LiveExchange, scopes: readonly string[]): boolean {
  return (
    (scopes.includes('rules') && exchange.isHeld()) ||
    (scopes.includes('uploads') && UPLOADING.includes(exchange.operation)) ||
    (scopes.includes('media') && MAKING_MEDIA.includes(exchange.operation))
  );
}

function resetMeanwhile(scopes: readonly string[]): AppError {
  const message = scopes.includes('uploads')
    ? 'the namespace of this key was reset during this request; nothing of this request remains, start the upload again'
    : `a reset of ${scopes.join(', ')} ended this request; ask for the status of its upload, and go on from there`;
  return new AppError('chunk_superseded', message);
}

const NOTHING_CHANGING: Promise<unknown> = Promise.resolve();

/**
 * Says whether a request may still make its change. A refused request never makes it; a change that is being made is waited for.
 */
export class Refusable {
  #refusal: Error | null = null;
  #onRefused: (error: Error) => void = () => undefined;
  #changing = NOTHING_CHANGING;

  onRefused(listener: (error: Error) => void): void {
    this.#onRefused = listener;
    if (this.#refusal !== null) listener(this.#refusal);
  }

  /** @throws the refusal */
  throwIfRefused(): void {
    if (this.#refusal !== null) throw this.#refusal;
  }

  /** Makes the change. Rejects with the refusal or with the error of the change. */
  async change<T>(run: () => Promise<T>): Promise<T> {
    this.throwIfRefused();
    const changing = run();
    this.#changing = changing;
    return changing;
  }

  /** Resolves when no change is being made. @param held the hold on the request, if there is one */
  async refuse(error: Error, held: { interrupt(error: Error): void } | null): Promise<void> {
    this.#refusal = error;
    held?.interrupt(error);
    this.#onRefused(error);
    await this.#changing.catch(() => undefined); // The error goes to the caller of `change`.
  }
}
