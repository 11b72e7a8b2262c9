// exchange/exchange-observer.ts: what surrounds a route: it records each exchange in the journal and carries the faults of rules
// out, at the places that the routes announce (http/observer.ts).
//
// Promises: an exchange is in the journal before the last byte of its answer is sent, or before its connection ends;
// every answer that a rule touched carries `X-Mock-Fault: <rule id>`.
// Must not know: what the routes do.
import { PUBLIC_NAMESPACE } from '../core/namespace.ts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { attemptSubject } from './attempt-subject.ts';
import type { Clocks } from '../core/clock.ts';
import { headMarkOf, type Beginnings } from './connections.ts';
import type { Contract } from '../contract/contract.ts';
import {
  beginRecording,
  deferredTelling,
  recordAnswer,
  recordFault,
  responseOf,
  type Answered,
} from './exchange-recording.ts';
import { Injection, type Ending, type FaultActions } from '../faults/injection.ts';
import type { RuleBook } from '../faults/rule-book.ts';
import { explain } from '../faults/explain.ts';
import type { Claim } from '../faults/rule-armed.ts';
import { operationOf } from '../http/exchange.ts';
import { isAnswered } from '../http/connection/linger.ts';
import type { Subject } from '../contract/operations.ts';
import {
  NOTHING_KEPT_ASIDE,
  type Announced,
  type BodyFacts,
  type Change,
  type Observer,
  type Stored,
} from '../http/observer.ts';
import type { Amendment, Exchange, Outcome } from '../journal/exchange.ts';
import type { ExchangeInFlight } from '../journal/in-flight.ts';
import type { Journal } from '../journal/journal.ts';
import type { Recording } from '../journal/recording.ts';
import { Refusable, type LiveExchange, type LiveExchanges } from './live-exchanges.ts';
import { monotonicMs } from '../core/machine-time.ts';
import { claimAgain } from './replays.ts';

export interface ObserverOptions {
  readonly rules: RuleBook;
  /** Null: `--no-journal`. */
  readonly journal: Journal | null;
  readonly clocks: Clocks;
  readonly beginnings: Beginnings;
  readonly live: LiveExchanges;
  readonly logger: Logger;
  readonly contract: () => Contract;
  readonly actionsOf: (namespace: string) => FaultActions;
}

interface Parties {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly connection: Exchange['connection'];
}

export class ExchangeObserver implements Observer {
  /** As a reset sees it. */
  readonly #live: LiveExchange;
  readonly #refusable = new Refusable();
  readonly #options: ObserverOptions;
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  readonly #recording: Recording | null;
  readonly #operation: string;
  readonly #begunMs = monotonicMs();
  /** Null: it was refused before its body was asked for. */
  #atMs: number | null = null;
  #injection: Injection | null = null;
  #hasClaimed = false;
  #isIdentified = false;
  #subject: Subject;
  #claim: Claim | null = null;
  #isOnRecord = false;
  #isForgotten = false;
  /** Null until the journal has put the exchange together. */
  #seq: number | null = null;

  constructor(options: ObserverOptions, { request, reply, connection }: Parties) {
    this.#options = options;
    this.#request = request;
    this.#reply = reply;
    this.#operation = operationOf(request);
    this.#subject = request.routeOptions.config.subjectOf?.(request) ?? {};
    this.#recording = options.journal === null ? null : beginRecording(request, connection, this.#subject);
    this.#live = this.#liveExchange();
    reply.raw.once('close', () => this.#closed());
  }

  get marks(): readonly number[] {
    return this.#options.rules.marks(this.#namespace, this.#operation);
  }

  /** The key is known, and with it the clock; the body is not. */
  begin(): void | Promise<void> {
    this.#atMs = this.#options.clocks.now(this.#namespace);
    this.#options.live.add(this.#live);
    this.#options.journal?.begun(() => this.#soFar());
    // The URL said it already: what is recorded must not depend on whether some rule has to know.
    if (this.#subject.fileId !== undefined) this.#identify(this.#subject);
    else if (this.#options.rules.needsIdentity(this.#namespace, this.#operation)) return;
    else this.#ask();
    return this.#injection?.headers();
  }

  identified(subject: Subject): Announced | Promise<Announced> {
    this.#refusable.throwIfRefused();
    this.#identify(subject);
    const injection = this.#injection;
    if (injection === null) return NOTHING_KEPT_ASIDE;
    return injection.headers().then(() => ({ keepAside: injection.keepAside }));
  }

  #identify(subject: Subject): void {
    if (this.#isIdentified) return;
    this.#isIdentified = true;
    this.#subject = subject;
    const { fileId, chunkIndex } = subject;
    const what = attemptSubject(this.#operation, subject, this.#request.url);
    const [rules, namespace] = [this.#options.rules, this.#namespace];
    const asking = { namespace, operation: this.#operation, subject, headMark: this.#headMark };
    const again = this.#hasClaimed ? null : claimAgain(this.#options, asking, () => this.#soFar());
    const attempt = again ? rules.lastAttempt(namespace, what) : rules.attempt(namespace, what);
    if (this.#recording !== null && fileId !== undefined) {
      this.#recording.upload = { fileId, chunkIndex: chunkIndex ?? null, attempt };
    }
    this.#ask(attempt, again);
  }

  fileBytes(bytes: number, at: (fileBytes: number) => BodyFacts): void | Promise<void> {
    this.#recording?.bytesCame(bytes, at);
    return this.#injection?.body(bytes);
  }

  readonly onRefused: Observer['onRefused'] = (listener) => this.#refusable.onRefused(listener);

  #liveExchange(): LiveExchange {
    return {
      operation: this.#operation,
      namespaceNow: () => this.#namespace,
      soFar: () => this.#soFar(),
      isHeld: () => this.#claim !== null,
      forget: () => void (this.#isForgotten = true),
      refuse: (error) => this.#refusable.refuse(error, this.#injection),
    };
  }

  #soFar(): ExchangeInFlight | null {
    const [recording, atMs, namespace] = [this.#recording, this.#atMs, this.#namespace];
    if (recording === null || atMs === null || this.#isForgotten || isAnswered(this.#reply.raw)) return null;
    const heldBy = this.#injection?.holding.now() ?? null;
    return recording.soFar({ namespace, atMs, seq: this.#seq, heldBy });
  }

  async commit<T>(change: Change<T>, body: BodyFacts): Promise<T> {
    const recorded = {
      run: async () => this.#stored(await this.#refusable.change(() => change.run())),
      defer: () => deferredTelling(change.defer(), (stored) => this.#stored(stored)),
    };
    this.#recording?.bodyIs(body);
    if (this.#injection === null) return (await recorded.run()).result;
    return this.#injection.commit(recorded, body);
  }

  /** The answer is about to be sent: from here on the exchange is on record. */
  answer(payload: unknown): unknown {
    const body = typeof payload === 'string' || payload instanceof Uint8Array ? String(payload) : '';
    if (this.#injection === null) return this.#answered(body, payload);
    return this.#injection
      .answer(body)
      .then((answer) => this.#answered(answer, answer === body ? payload : answer));
  }

  #answered(answer: string, payload: unknown): unknown {
    const bytes = this.#injection?.answerBytes ?? Buffer.byteLength(answer);
    const response = responseOf(this.#request, this.#reply, bytes);
    const isBodyWhole = this.#request.raw.complete;
    const answered = { request: this.#request, reply: this.#reply, answer, isBodyWhole };
    if (!this.#isOnRecord) this.#record('errorCode' in response ? 'refused' : 'answered', response, answered);
    return payload;
  }

  readonly #headMark = (): string => headMarkOf(this.#request.raw);

  get #namespace(): string {
    return this.#request.caller?.namespace ?? PUBLIC_NAMESPACE;
  }

  /** Which rule this exchange meets: asked once, as soon as enough is known. */
  #ask(attempt?: number, again: Claim | null = null): void {
    if (this.#hasClaimed) return;
    this.#hasClaimed = true;
    const facts = { operation: this.#operation, ...this.#subject, attempt };
    const claim = again ?? this.#options.rules.claim(this.#namespace, facts);
    if (claim === null) return;
    this.#claim = claim;
    this.#injection = this.#injectionOf(claim);
  }

  #injectionOf(claim: Claim): Injection {
    const { rules, actionsOf } = this.#options;
    const namespace = this.#namespace;
    const options = {
      wire: { request: this.#request.raw, response: this.#reply.raw },
      requestId: this.#request.id,
      begunMs: this.#begunMs,
      draw: () => rules.draw(namespace),
      actions: actionsOf(namespace),
      onFired: (fired: Claim) => this.#onFired(fired),
      onEnded: (ending: Ending, answerBytes: number | null) => this.#onEnded(ending, answerBytes),
    };
    return new Injection(options, claim, () => this.#subject);
  }

  #onFired(claim: Claim): void {
    const { logger } = this.#options;
    const { rule } = claim;
    const fired = recordFault(this.#recording, claim);
    claim.fired();
    if (!this.#reply.raw.headersSent) this.#reply.header('x-mock-fault', rule.id);
    const { id: reqId } = this.#request;
    logger.info({ reqId, namespace: this.#namespace, ...fired, explain: explain(rule) }, 'a rule fired');
    const told = { ...fired, requestId: reqId, explain: explain(rule) };
    this.#later((journal) => journal.publish(this.#namespace, 'fault', told));
  }

  #onEnded(outcome: Ending, answerBytes: number | null): void {
    const response = answerBytes === null ? null : responseOf(this.#request, this.#reply, answerBytes);
    if (this.#isOnRecord) this.#amend({ outcome, response });
    else this.#record(outcome, response);
  }

  /** The exchange is on record already where the commit came late, or the client left while it was being made. */
  #stored<S extends Stored>(stored: S): S {
    const { committed, mediaId } = stored;
    if (this.#recording === null || committed === null) return stored;
    this.#recording.committed = committed;
    const { fileId, chunkIndex } = this.#subject;
    const { offset, bytes } = committed;
    const told = { operation: this.#operation, fileId, chunkIndex, mediaId, offset, bytes };
    const namespace = this.#namespace;
    this.#later((journal) => journal.publish(namespace, 'ledger', told));
    if (this.#isOnRecord) this.#amend({ committed });
    return stored;
  }

  /** From here on every query finds the exchange; it is put together when there is one, or at the end of the turn. */
  #record(outcome: Outcome, response: Exchange['response'], answered?: Answered): void {
    const recording = this.#recording;
    if (recording === null) return;
    this.#isOnRecord = true;
    if (response !== null) recording.answerBegins();
    const { clocks, contract, beginnings } = this.#options;
    const namespace = this.#namespace;
    const atMs = this.#atMs ?? clocks.now(namespace);
    const endedAfter = this.#reply.raw.closed ? beginnings.count : null;
    const end = { outcome, response, atMs, endedAfter, timing: recording.timing() };
    const endedMs = monotonicMs();
    this.#later((journal) => {
      // The first one compiles the contract's checks.
      if (answered !== undefined) recordAnswer(recording, answered, contract);
      this.#seq = journal.append(recording.draft(namespace, end), this.#headMark, endedMs).seq;
      if (recording.fault !== null) this.#claim?.fired(this.#seq);
    });
  }

  #amend(changes: Amendment): void {
    this.#later((journal) => this.#seq !== null && journal.amend(this.#seq, changes, this.#headMark));
  }

  #later(work: (journal: Journal) => unknown): void {
    const { journal } = this.#options;
    journal?.later(() => this.#isForgotten || void work(journal));
  }

  /** After everything: an answer that was not sent whole was left by its client, or cut by a fault. */
  #closed(): void {
    this.#injection?.end();
    this.#options.live.remove(this.#live);
    if (this.#recording === null) return;
    const isWhole = isAnswered(this.#reply.raw);
    if (!this.#isOnRecord && !isWhole) return this.#record('client-aborted', null);
    const timing = this.#recording.timing();
    const endedAfter = this.#options.beginnings.count;
    this.#later((journal) => {
      if (this.#seq !== null) journal.ended(this.#seq, { isWhole, timing, endedAfter }, this.#headMark);
    });
  }
}
