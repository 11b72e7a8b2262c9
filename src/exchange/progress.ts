// exchange/progress.ts: tells listeners of the journal the progress of exchanges in flight (behaviour §9).
//
// Promises: the progress of an exchange is told at most every 250 ms, and only when more of its body has come. Without
// listeners, nothing is done. Storing a chunk never waits for this work.
// Must not know: HTTP, how an exchange is observed.
import type { Listener } from '../journal/event-feed.ts';
import type { Journal } from '../journal/journal.ts';
import type { LiveExchanges } from './live-exchanges.ts';
import { clearInterval, setInterval } from '../core/machine-time.ts';

const EVERY_MS = 250;

export class Progress {
  readonly #live: LiveExchanges;
  #listeners = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** The bytes that listeners know, by `begun`. */
  #known: ReadonlyMap<number, number> = new Map();

  constructor(live: LiveExchanges) {
    this.#live = live;
  }

  /** As `Journal.subscribe`, with the progress of exchanges in flight. */
  subscribe(journal: Journal, namespace: string, listener: Listener): () => void {
    const unsubscribe = journal.subscribe(namespace, listener);
    this.#listeners += 1;
    // The timer must not keep the process alive: a listener in process may never unsubscribe.
    this.#timer ??= setInterval(() => this.#tell(journal), EVERY_MS).unref();
    let isListening = true;
    return () => {
      unsubscribe();
      if (isListening) this.#listeners -= 1;
      isListening = false;
      if (this.#listeners === 0) this.stop();
    };
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tell(journal: Journal): void {
    const known = new Map<number, number>();
    journal.flush(); // Tell first that the exchanges have begun.
    for (const exchange of this.#live.inFlight()) {
      const { receivedBytes } = exchange.body;
      const toldBytes = this.#known.get(exchange.begun) ?? 0;
      if (receivedBytes > toldBytes) journal.progressed(exchange);
      known.set(exchange.begun, receivedBytes);
    }
    this.#known = known;
  }
}
