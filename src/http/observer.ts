// http/observer.ts: the places of an exchange where what surrounds a route may look on, wait or interfere.
//
// A route announces these places and knows nothing of who listens; without a listener each costs a call that does
// nothing. A listener may let time pass before it resolves, or throw: an AppError is a refusal like any other,
// `AnswerInstead` an answer in the route's place, `NoAnswer` the end of a connection that has been dealt with.
// Must not know: faults, journal.
import type { Subject } from '../contract/operations.ts';
import type { FastifyRequest } from 'fastify';

/** A part of the request's form, as it came. */
export interface PartFacts {
  readonly name: string;
  readonly filename?: string | undefined;
  readonly bytes: number;
  readonly crc32: number;
  /** The text of a field that the route reads; of a file, never. Not to be kept. */
  readonly value?: string | undefined;
}

/** The body up to some byte of its `file` part. */
export interface BodyFacts {
  /** Bytes of the request's body. */
  readonly receivedBytes: number;
  /** Bytes of the `file` part. */
  readonly fileBytes: number;
  readonly parts: readonly PartFacts[];
}

/** Where the bytes of a chunk came to lie in the content; null: they were there before (rule C6). */
export type Committed = { readonly offset: number | null; readonly bytes: number } | null;

/** What a change stored. `mediaId`: of the entry that was made. */
export interface Stored {
  readonly committed: Committed;
  readonly mediaId?: string;
}

/** The change that a request is about to make. */
export interface Change<T> {
  /** Makes it, durably. */
  run(): Promise<Stored & { readonly result: T }>;
  /** Hands the change over: the route lets go of it, and whoever takes it makes it later, or drops it. */
  defer(): DeferredChange;
}

/** A change that outlives its request. It is made or dropped: one of the two, once. Neither rejects. */
export interface DeferredChange {
  /** Null: it could not be made any more. */
  run(): Promise<Stored | null>;
  /** Gives back what it holds: memory, temporary files. */
  drop(): Promise<void>;
}

/** `keepAside`: nothing of the request may touch the upload before `commit`. */
export interface Announced {
  readonly keepAside: boolean;
}

export const NOTHING_KEPT_ASIDE: Announced = { keepAside: false };

/** What has to be waited for is a promise; where there is nothing, none is made. */
export interface Observer {
  /** Counts of file bytes at which `fileBytes` must be able to say what had come (rule: exact at `body:N`). */
  readonly marks: readonly number[];
  /** The request is understood. */
  identified(subject: Subject): Announced | Promise<Announced>;
  /** More of the file has come. `at(n)` says what had come when the file had n bytes, for the `marks` and the end. */
  fileBytes(bytes: number, at: (fileBytes: number) => BodyFacts): void | Promise<void>;
  /** Is told when the request is to end without its change, as by a reset: no more of its body will be of use. */
  onRefused(listener: (error: Error) => void): void;
  /** Surrounds the change. Resolves to its result. */
  commit<T>(change: Change<T>, body: BodyFacts): Promise<T>;
}

const NO_OBSERVER: Observer = {
  marks: [],
  identified: () => NOTHING_KEPT_ASIDE,
  fileBytes: () => undefined,
  onRefused: () => undefined,
  commit: async (change) => (await change.run()).result,
};

/** The connection has been dealt with: there is nobody to answer. */
export class NoAnswer extends Error {
  override readonly name: string = 'NoAnswer';
}

/** What surrounds the route answers in its place. */
export class AnswerInstead extends Error {
  override readonly name = 'AnswerInstead';
  readonly status: number;
  /** By lower-case name; a list is a line each. */
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
    /** Set by what surrounds the routes; null where nothing does. */
    observer: Observer | null;
  }
}

export function observerOf(request: FastifyRequest): Observer {
  return request.observer ?? NO_OBSERVER;
}
