// journal/event-feed.ts: tells listeners about events as they happen, and remembers a bounded number of recent events, so
// that a listener whose connection broke can resume (`Last-Event-ID`).
//
// Promises: event ids count up from 1 per server. Listeners are called before `publish` or `tell` returns, and only for
// their own namespace.
import { ALL_NAMESPACES } from '../core/namespace.ts';
import type { Exchange } from './exchange.ts';
import { Fifo } from './fifo.ts';
import type { ExchangeInFlight } from './in-flight.ts';

/** An exchange is told when it is put on record, and again, with the same `seq`, when more than its timing is amended. */
export type EventContent =
  | { readonly kind: 'exchange'; readonly data: Exchange }
  | { readonly kind: 'begun' | 'progress'; readonly data: ExchangeInFlight }
  | { readonly kind: 'ledger' | 'fault'; readonly data: Readonly<Record<string, unknown>> };

/** A `progress` event has the id of the event before it. It is told once and cannot be resumed from. */
export type JournalEvent = EventContent & { readonly id: number; readonly namespace: string };

/** Runs inside the exchange that the event is about, so it must not throw. */
export type Listener = (event: JournalEvent) => void;

export interface Resumption {
  readonly events: readonly JournalEvent[];
  /** Events after the given id may have been forgotten, or the id comes from another server. */
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

  /** 0: no event yet. */
  get lastId(): number {
    return this.#lastId;
  }

  /** Whether there ever was a listener. Before that no listener can resume. */
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

  /** Tells present listeners only; the event is not remembered. */
  tell(namespace: string, content: EventContent): void {
    this.#send({ id: this.#lastId, namespace, ...content });
  }

  /** The events after the event with this id. */
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

  /** @returns a function that ends the subscription; it may be called more than once */
  subscribe(namespace: string, listener: Listener): () => void {
    const own: Listener = (event) => listener(event); // The same function may subscribe twice.
    const listeners = this.#listeners.get(namespace) ?? new Set();
    this.#listeners.set(namespace, listeners.add(own));
    this.#hasBeenHeard = true;
    return () => {
      listeners.delete(own);
      if (listeners.size === 0 && this.#listeners.get(namespace) === listeners)
        this.#listeners.delete(namespace);
    };
  }

  /** Forgets the namespace's events; its listeners stay. */
  clear(namespace: string): void {
    this.#recent.keep((event) => namespace !== ALL_NAMESPACES && event.namespace !== namespace);
  }

  #send(event: JournalEvent): void {
    for (const listener of this.#listeners.get(event.namespace) ?? []) listener(event);
    for (const listener of this.#listeners.get(ALL_NAMESPACES) ?? []) listener(event);
  }
}
