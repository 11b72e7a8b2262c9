// exchange/progress.ts: tells those who listen to the journal how far the exchanges in flight are (behaviour §9).
//
// Promises: an exchange is told of at most every 250 ms, and only when more of its body has come; while nobody listens nothing is
// done at all, and storing a chunk never waits for it or pays for it.
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
  /** By `begun`: the bytes of which listeners know. */
  #known: ReadonlyMap<number, number> = new Map();

  constructor(live: LiveExchanges) {
    this.#live = live;
  }

  /** As `Journal.subscribe`, with the progress of what is in flight. */
  subscribe(journal: Journal, namespace: string, listener: Listener): () => void {
    const unsubscribe = journal.subscribe(namespace, listener);
    this.#listeners += 1;
    // It keeps no process alive: whoever listens in process may never say that it has stopped.
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
    journal.flush(); // That they have begun is told first.
    for (const exchange of this.#live.inFlight()) {
      const { receivedBytes } = exchange.body;
      const toldBytes = this.#known.get(exchange.begun) ?? 0;
      if (receivedBytes > toldBytes) journal.progressed(exchange);
      known.set(exchange.begun, receivedBytes);
    }
    this.#known = known;
  }
}
