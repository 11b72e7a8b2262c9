// http/observer.ts: the points of an exchange at which an observer may watch, wait or interfere.
//
// A route announces these points and does not know who listens. Without a listener, each point costs one call that does nothing.
// A listener may delay before it resolves, or may throw: an AppError is an ordinary refusal, `AnswerInstead` answers in the
// route's place, and `NoAnswer` says that the listener has already ended the connection.
import type { Subject } from '../contract/operations.ts';
import type { FastifyRequest } from 'fastify';

/** A received part of the request's form. */
export interface PartFacts {
  readonly name: string;
  readonly filename?: string | undefined;
  readonly bytes: number;
  readonly crc32: number;
  /** The text of a field that the route reads; never set for a file. A listener must not keep it. */
  readonly value?: string | undefined;
}

/** The body up to a certain byte of its `file` part. */
export interface BodyFacts {
  /** Bytes of the request's body that had come. */
  readonly receivedBytes: number;
  /** Bytes of the `file` part that had come. */
  readonly fileBytes: number;
  readonly parts: readonly PartFacts[];
}

/** Where the content got the bytes of a chunk; `offset` is null when the chunk was stored before (rule C6). */
export type Committed = { readonly offset: number | null; readonly bytes: number } | null;

/** What a change stored. `mediaId`: the new entry. */
export interface Stored {
  readonly committed: Committed;
  readonly mediaId?: string;
}

/** The change that a request is about to make. */
export interface Change<T> {
  /** Makes the change durable. */
  run(): Promise<Stored & { readonly result: T }>;
  /** Hands the change over: the route releases it, and the receiver makes it later or drops it. */
  defer(): DeferredChange;
}

/** A change that outlives its request. The receiver calls exactly one of the two methods, once. Neither rejects. */
export interface DeferredChange {
  /** Null: the change could no longer be made. */
  run(): Promise<Stored | null>;
  /** Releases the memory and the temporary files of the change. */
  drop(): Promise<void>;
}

/** `keepAside`: the request must not touch the upload before `commit`. */
export interface Announced {
  readonly keepAside: boolean;
}

export const NOTHING_KEPT_ASIDE: Announced = { keepAside: false };

/** Methods return a promise only when the route has to wait, because a promise for each call would cost time. */
export interface Observer {
  /** The byte counts of the file at which `fileBytes` must know exactly what had come (faults at `body:N`). */
  readonly marks: readonly number[];
  /** The route knows what the request is about. */
  identified(subject: Subject): Announced | Promise<Announced>;
  /** More of the file has come. `at(n)` says what had come when the file had n bytes; n is one of `marks` or the end. */
  fileBytes(bytes: number, at: (fileBytes: number) => BodyFacts): void | Promise<void>;
  /**
   * Registers a listener for a request that must end without its change, for example by a reset: the rest of its body is
   * useless.
   */
  onRefused(listener: (error: Error) => void): void;
  /** Called in the place of the change: the observer runs or defers it. Resolves to the result of the change. */
  commit<T>(change: Change<T>, body: BodyFacts): Promise<T>;
}

const NO_OBSERVER: Observer = {
  marks: [],
  identified: () => NOTHING_KEPT_ASIDE,
  fileBytes: () => undefined,
  onRefused: () => undefined,
  commit: async (change) => (await change.run()).result,
};

/** The connection has already been ended, so no answer can be sent. */
export class NoAnswer extends Error {
  override readonly name: string = 'NoAnswer';
}

/** The observer answers in the route's place. */
export class AnswerInstead extends Error {
  override readonly name = 'AnswerInstead';
  readonly status: number;
  /** By lower-case name. A list becomes one header line for each value. */
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: string;

  constructor(answer: Pick<AnswerInstead, 'status' | 'headers' | 'body'>) {
    super(`answered ${answer.status} in the place of the route`);
    this.status = answer.status;
    this.headers = answer.headers;
    this.body = answer.body;
  }
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the code that surrounds the routes; null on routes that are not observed. */
    observer: Observer | null;
  }
}

export function observerOf(request: FastifyRequest): Observer {
  return request.observer ?? NO_OBSERVER;
}
