// journal/event-feed.ts: what happens, told as it happens, with a memory short enough to be bounded and long enough
// for a listener that lost its connection to resume (`Last-Event-ID`).
//
// Promises: ids of the server's events count up from 1; a listener is told before `publish` or `tell` returns, of its own
// namespace only.
// Must not know: server-sent events, who listens.
import { ALL_NAMESPACES } from '../core/namespace.ts';
import type { Exchange } from './exchange.ts';
import { Fifo } from './fifo.ts';
import type { ExchangeInFlight } from './in-flight.ts';

/** An exchange is told when it is on record, and again when more than its timing is amended: the `seq` is the same. */
export type EventContent =
  | { readonly kind: 'exchange'; readonly data: Exchange }
  | { readonly kind: 'begun' | 'progress'; readonly data: ExchangeInFlight }
  | { readonly kind: 'ledger' | 'fault'; readonly data: Readonly<Record<string, unknown>> };

/** `id` of progress is that of the event before it: it is told once and never again. */
export type JournalEvent = EventContent & { readonly id: number; readonly namespace: string };

/** Must not throw: it runs inside the exchange that it is told of. */
export type Listener = (event: JournalEvent) => void;

export interface Resumption {
  readonly events: readonly JournalEvent[];
  /** Events after the one named may have been forgotten, or it was another server that named it. */
  readonly isGap: boolean;
}

export class EventFeed {
  readonly #maxEvents: number;
  readonly #recent = new Fifo<JournalEvent>();
  readonly #listeners = new Map<string, Set<Listener>>();
  #lastId = 0;
  #lastForgottenId = 0;
  #hasBeenHeard = false;

  constructor(maxEvents: number) {
    this.#maxEvents = maxEvents;
  }

  /** 0: nothing has been told yet. */
  get lastId(): number {
    return this.#lastId;
  }

  /** Whether anybody ever listened: before that there is nobody who could resume. */
  get hasBeenHeard(): boolean {
    return this.#hasBeenHeard;
  }

  publish(namespace: string, content: EventContent): JournalEvent {
    this.#lastId += 1;
    const event: JournalEvent = { id: this.#lastId, namespace, ...content };
    this.#recent.push(event);
    const forgotten = this.#recent.length > this.#maxEvents ? this.#recent.shift() : undefined;
    if (forgotten !== undefined) this.#lastForgottenId = forgotten.id;
    this.#send(event);
    return event;
  }

  /** Whoever listens right now is told; nobody who resumes is. */
  tell(namespace: string, content: EventContent): void {
    this.#send({ id: this.#lastId, namespace, ...content });
  }

  /** What came after the event with that id. */
  since(namespace: string, id: number): Resumption {
    const isForeign = id > this.#lastId;
    const events: JournalEvent[] = [];
    const from = isForeign ? 0 : this.#recent.firstIndex((event) => event.id > id);
    for (let index = from; index < this.#recent.length; index += 1) {
      const event = this.#recent.at(index);
      if (event !== undefined && (namespace === ALL_NAMESPACES || event.namespace === namespace))
        events.push(event);
    }
    return { events, isGap: isForeign || id < this.#lastForgottenId };
  }

  /** @returns ends the subscription; may be called again */
  subscribe(namespace: string, listener: Listener): () => void {
    const own: Listener = (event) => listener(event); // Twice the same function is two subscriptions.
    const listeners = this.#listeners.get(namespace) ?? new Set();
    this.#listeners.set(namespace, listeners.add(own));
    this.#hasBeenHeard = true;
    return () => {
      listeners.delete(own);
      if (listeners.size === 0 && this.#listeners.get(namespace) === listeners)
        this.#listeners.delete(namespace);
    };
  }

  /** Lets go of a namespace's past; who listens goes on listening. */
  clear(namespace: string): void {
    this.#recent.keep((event) => namespace !== ALL_NAMESPACES && event.namespace !== namespace);
  }

  #send(event: JournalEvent): void {
    for (const listener of this.#listeners.get(event.namespace) ?? []) listener(event);
    for (const listener of this.#listeners.get(ALL_NAMESPACES) ?? []) listener(event);
  }
}
