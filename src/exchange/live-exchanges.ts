// exchange/live-exchanges.ts: the exchanges that have begun and are not over: to be looked at, and to be ended by a reset (behaviour §9).
//
// Promises: an exchange is among them from when its key was checked until its connection is done with it.
// Must not know: how an exchange is observed.
import { ALL_NAMESPACES } from '../core/namespace.ts';
import { AppError } from '../core/errors.ts';
import type { ExchangeInFlight } from '../journal/in-flight.ts';

/** An exchange that is not over. */
export interface LiveExchange {
  readonly operation: string;
  namespaceNow(): string;
  /** Null: nothing is told of it, or its client has the whole answer. */
  soFar(): ExchangeInFlight | null;
  /** A rule has it, and may hold it. */
  isHeld(): boolean;
  /** From here on nothing of it is put on record or told. */
  forget(): void;
  /** It makes no change any more: it is answered with this, or ended where its answer has begun. Resolves when none is being made. */
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

  /** Those of a namespace, or of all (`*`), in the order in which their heads were read. */
  inFlight(namespace = ALL_NAMESPACES): ExchangeInFlight[] {
    const known = this.#of(namespace).flatMap((exchange) => exchange.soFar() ?? []);
    return known.toSorted((a, b) => a.begun - b.begun);
  }

  /**
   * Those of a namespace, or of all (`*`), as a reset of these scopes has it: a request that would change what is forgotten, or
   * that a rule has which goes, is refused; none of them is put on record anew. Resolves when none of them changes anything.
   */
  async end(namespace: string, scopes: readonly string[]): Promise<void> {
    const all = this.#of(namespace);
    if (scopes.includes('journal')) for (const exchange of all) exchange.forget();
    const ended = all.filter((exchange) => isEnded(exchange, scopes));
    await Promise.all(ended.map((exchange) => exchange.refuse(resetMeanwhile())));
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

function resetMeanwhile(): AppError {
  const message =
    'the namespace of this key was reset during this request; nothing of this request remains, start the upload again';
  return new AppError('chunk_superseded', message);
}

const NOTHING_CHANGING: Promise<unknown> = Promise.resolve();

/** Whether a request may still make its change: refused, it never does; a change that is being made already is waited for. */
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

  /** Rejects with the refusal, or as the change does. */
  async change<T>(run: () => Promise<T>): Promise<T> {
    this.throwIfRefused();
    const changing = run();
    this.#changing = changing;
    return changing;
  }

  /** Resolves when no change is being made. @param held what holds the request up, if anything does */
  async refuse(error: Error, held: { interrupt(error: Error): void } | null): Promise<void> {
    this.#refusal = error;
    held?.interrupt(error);
    this.#onRefused(error);
    await this.#changing.catch(() => undefined); // Whoever makes it is told.
  }
}
