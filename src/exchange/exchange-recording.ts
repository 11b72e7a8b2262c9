// exchange/exchange-recording.ts: decides what the journal learns of one exchange, and when.
//
//    arrived    its head was read; its namespace, and so its clock, is not known yet
//    begun      its key was checked: it can be seen in flight
//    on record  its answer begins, or its connection ends without an answer: it has its number, and every query finds it;
//               later facts amend it: the exchange is over, its client left, a late commit came
//    forgotten  a reset took it while it was in flight: it is no longer recorded or told
//
// Promises: an exchange goes on record once, from `arrived` or `begun`. Its number is known from that call on, although the
// exchange is built later, when somebody asks for it or the turn ends. Postponed work is done in its order.
// Must not know: which rules there are, what the routes do.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clocks } from '../core/clock.ts';
import { monotonicMs } from '../core/machine-time.ts';
import type { Contract } from '../contract/contract.ts';
import type { Subject } from '../contract/operations.ts';
import { isCutting } from '../faults/injection.ts';
import { toldOf } from '../faults/holding.ts';
import type { Claim } from '../faults/rule-armed.ts';
import { isAnswered } from '../http/connection/linger.ts';
import { namespaceOf, operationOf } from '../http/exchange.ts';
import type { Stored } from '../http/observer.ts';
import type { Amendment, Connection, Exchange, Outcome } from '../journal/exchange.ts';
import type { ExchangeInFlight } from '../journal/in-flight.ts';
import type { Journal } from '../journal/journal.ts';
import { Recording } from '../journal/recording.ts';
import type { Head } from '../journal/transport-replay.ts';
import { recordAnswer, type Answered } from './answered.ts';
import { headMarkOf, type Beginnings } from './connections.ts';

export interface RecordingOptions {
  readonly journal: Journal;
  readonly clocks: Clocks;
  readonly beginnings: Beginnings;
  readonly contract: () => Contract;
}

export interface Parties {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly connection: Connection;
}

/** `atMs`: the instant at which the exchange began, on its namespace's clock. */
type Phase =
  | { readonly is: 'arrived' }
  | { readonly is: 'begun'; readonly atMs: number }
  | { readonly is: 'on record'; readonly atMs: number; readonly seq: number }
  | { readonly is: 'forgotten' };

const ARRIVED: Phase = { is: 'arrived' };
const FORGOTTEN: Phase = { is: 'forgotten' };

export class ExchangeRecording implements Head {
  /** The facts, recorded as they become known. */
  readonly facts: Recording;
  readonly #options: RecordingOptions;
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  #phase: Phase = ARRIVED;
  /** The claim whose fault acted. */
  #fired: Claim | null = null;

  /** @param subject as far as the URL names it */
  constructor(options: RecordingOptions, { request, reply, connection }: Parties, { fileId }: Subject) {
    this.#options = options;
    this.#request = request;
    this.#reply = reply;
    this.facts = recordingOf(request, connection);
    if (fileId !== undefined) this.facts.upload = { fileId, chunkIndex: null, attempt: null };
  }

  /** The number of the exchange on record. Undefined: it is not on record. */
  get seq(): number | undefined {
    return this.#phase.is === 'on record' ? this.#phase.seq : undefined;
  }

  /** To be called when the key was checked. */
  begins(): void {
    const { clocks, journal } = this.#options;
    this.#phase = { is: 'begun', atMs: clocks.now(namespaceOf(this.#request)) };
    journal.begun(() => this.soFar(null));
  }

  /**
   * The exchange in flight. Null: the exchange must not be told, or its client has the complete answer.
   * @param heldBy the rule that holds the exchange
   */
  soFar(heldBy: ExchangeInFlight['heldBy']): ExchangeInFlight | null {
    const phase = this.#phase;
    if (phase.is === 'arrived' || phase.is === 'forgotten' || isAnswered(this.#reply.raw)) return null;
    const [namespace, seq] = [namespaceOf(this.#request), this.seq ?? null];
    return this.facts.soFar({ namespace, atMs: phase.atMs, seq, heldBy });
  }

  identified({ fileId, chunkIndex }: Subject, attempt: number): void {
    if (fileId !== undefined) this.facts.upload = { fileId, chunkIndex: chunkIndex ?? null, attempt };
  }

  /** The lost exchange of which this one seems to be the transport's replay. Null: there is none, or this exchange is over. */
  original(subject: Subject): Exchange | null {
    const { fileId, chunkIndex = null } = subject;
    const request = this.soFar(null);
    if (request === null) return null;
    const upload = fileId === undefined ? null : { fileId, chunkIndex, attempt: null };
    const beganMs = monotonicMs() - request.elapsedMs;
    const arrival = { exchange: { ...request, upload }, beganMs, headMark: this.headMark() };
    return this.#options.journal.replayedBy(request.namespace, arrival);
  }

  headMark(): string {
    return headMarkOf(this.#request.raw);
  }

  /** To be called when a fault acts. */
  fires(claim: Claim): void {
    const fault = toldOf(claim);
    const { facts } = this;
    facts.fault = fault;
    this.#fired = claim;
    // A fault at the head counts as if nothing of the body had come, however much was read to choose the rule.
    if (fault.phase === 'headers' && isCutting(fault.effect)) facts.nothingCame();
    if (fault.phase === 'body' && isCutting(fault.effect)) facts.cutAt(fault.atByte);
  }

  /**
   * To be called when the change is made. The exchange may be on record by then, if the commit was late or the client had left.
   */
  stored({ committed, mediaId }: Stored, { fileId, chunkIndex }: Subject): void {
    if (committed === null) return;
    this.facts.committed = committed;
    const { offset, bytes } = committed;
    const operation = operationOf(this.#request);
    this.publish('ledger', { operation, fileId, chunkIndex, mediaId, offset, bytes });
    this.#amend({ committed });
  }

  /** Tells listeners of an event that is not an exchange. */
  publish(kind: 'ledger' | 'fault', data: Readonly<Record<string, unknown>>): void {
    const { journal } = this.#options;
    const namespace = namespaceOf(this.#request);
    this.#later(() => journal.publish(namespace, kind, data));
  }

  /** To be called when the answer begins. */
  answered(response: NonNullable<Exchange['response']>, answered: Answered): void {
    this.#goOnRecord('errorCode' in response ? 'refused' : 'answered', response, answered);
  }

  /** To be called when a fault ends the exchange. */
  cut(outcome: Outcome, response: Exchange['response']): void {
    if (this.seq === undefined) this.#goOnRecord(outcome, response);
    else this.#amend({ outcome, response });
  }

  /**
   * To be called when the connection is done with the exchange. An incomplete answer was left by its client or cut by a fault.
   */
  closed(): void {
    const isWhole = isAnswered(this.#reply.raw);
    const { seq } = this;
    if (seq === undefined && !isWhole) this.#goOnRecord('client-aborted', null);
    if (seq === undefined) return;
    const { journal, beginnings } = this.#options;
    const timing = this.facts.timing();
    const endedAfter = beginnings.count;
    this.#later(() => journal.ended(seq, { isWhole, timing, endedAfter }, this));
  }

  forget(): void {
    this.#phase = FORGOTTEN;
  }

  /** Does nothing when the exchange is on record already or was forgotten. */
  #goOnRecord(outcome: Outcome, response: Exchange['response'], answered?: Answered): void {
    if (this.#phase.is === 'on record' || this.#phase.is === 'forgotten') return;
    const { clocks, journal, contract, beginnings } = this.#options;
    const { facts } = this;
    const namespace = namespaceOf(this.#request);
    const atMs = this.#phase.is === 'begun' ? this.#phase.atMs : clocks.now(namespace);
    const seq = journal.number();
    this.#phase = { is: 'on record', atMs, seq };
    if (response !== null) facts.answerBegins();
    const endedAfter = this.#reply.raw.closed ? beginnings.count : null;
    const end = { outcome, response, atMs, endedAfter, timing: facts.timing() };
    const endedMs = monotonicMs();
    this.#fired?.fired(seq);
    this.#later(() => {
      // The first call compiles the contract's checks.
      if (answered !== undefined) recordAnswer(facts, answered, contract);
      journal.append(facts.draft(namespace, end), { seq, head: this, endedMs });
    });
  }

  #amend(changes: Amendment): void {
    const { seq } = this;
    if (seq !== undefined) this.#later(() => this.#options.journal.amend(seq, changes, this));
  }

  #later(work: () => unknown): void {
    this.#options.journal.later(() => this.#phase.is === 'forgotten' || void work());
  }
}

function recordingOf(request: FastifyRequest, connection: Connection): Recording {
  const { begun, method, url: path, id: requestId, headers } = request;
  const length = headers['content-length'];
  const declaredBytes = length === undefined ? null : Number(length);
  const operation = operationOf(request);
  return new Recording({
    requestId,
    begun,
    connection,
    operation,
    method,
    path,
    declaredBytes,
    now: monotonicMs,
  });
}
