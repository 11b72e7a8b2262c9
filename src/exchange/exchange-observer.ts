// exchange/exchange-observer.ts: surrounds a route. It asks for the rule that an exchange meets, carries out the rule's fault at
// the points that the routes announce (http/observer.ts), and tells the exchange's recording what happens.
//
//    unasked     no rule was asked for: the key was not checked yet, or some rule has to know the upload first
//    claimed     a rule was asked for, once; it has the exchange or not; the upload is not known yet
//    identified  the upload is known as well: the attempt at it is counted
//
// The progress of the exchange in the journal has its own phases (exchange-recording.ts): a request may be refused, or its
// client may leave, in any of the phases above.
//
// Promises: an exchange is in the journal before the last byte of its answer is sent, or before its connection ends. Every
// answer that a rule touched carries `X-Mock-Fault: <rule id>`.
// Must not know: what the routes do.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { responseOf } from './answered.ts';
import { attemptSubject } from './attempt-subject.ts';
import { ExchangeRecording, type Parties, type RecordingOptions } from './exchange-recording.ts';
import { Refusable, type LiveExchange, type LiveExchanges } from './live-exchanges.ts';
import { claimAgain } from './replays.ts';
import { monotonicMs } from '../core/machine-time.ts';
import type { Subject } from '../contract/operations.ts';
import { explain } from '../faults/explain.ts';
import { toldOf } from '../faults/holding.ts';
import { Injection, type Ending, type FaultActions } from '../faults/injection.ts';
import type { Claim } from '../faults/rule-armed.ts';
import type { RuleBook } from '../faults/rule-book.ts';
import { namespaceOf, operationOf } from '../http/exchange.ts';
import {
  NOTHING_KEPT_ASIDE,
  type Announced,
  type BodyFacts,
  type Change,
  type DeferredChange,
  type Observer,
  type Stored,
} from '../http/observer.ts';
import type { ExchangeInFlight } from '../journal/in-flight.ts';

export interface ObserverOptions {
  readonly rules: RuleBook;
  /** Null: `--no-journal`. */
  readonly recording: RecordingOptions | null;
  readonly live: LiveExchanges;
  readonly logger: Logger;
  readonly actionsOf: (namespace: string) => FaultActions;
}

/** `subject`: what is known of the upload. `injection`: the fault of the rule that has the exchange; null: no rule has it. */
type Phase =
  | { readonly is: 'unasked'; readonly subject: Subject; readonly injection: null }
  | { readonly is: 'claimed'; readonly subject: Subject; readonly injection: Injection | null }
  | { readonly is: 'identified'; readonly subject: Subject; readonly injection: Injection | null };

/**
 * The observer for the routes and the live exchange for a reset. One object with methods, because each request needs its own.
 */
export class ExchangeObserver implements Observer, LiveExchange {
  readonly operation: string;
  readonly #options: ObserverOptions;
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  /** Null: `--no-journal`. */
  readonly #recording: ExchangeRecording | null;
  readonly #refusable = new Refusable();
  readonly #begunMs = monotonicMs();
  #phase: Phase;

  constructor(options: ObserverOptions, parties: Parties) {
    const { request, reply } = parties;
    const { recording } = options;
    this.#options = options;
    this.#request = request;
    this.#reply = reply;
    this.operation = operationOf(request);
    const subject = request.routeOptions.config.subjectOf?.(request) ?? {};
    this.#phase = { is: 'unasked', subject, injection: null };
    this.#recording = recording && new ExchangeRecording(recording, parties, subject);
    reply.raw.once('close', () => this.#closed());
  }

  get marks(): readonly number[] {
    return this.#options.rules.marks(this.namespaceNow(), this.operation);
  }

  /** To be called when the key is known, and with it the clock, but not the body. */
  begin(): void | Promise<void> {
    const { live, rules } = this.#options;
    const { subject } = this.#phase;
    live.add(this);
    this.#recording?.begins();
    // The URL names the upload, so it is recorded whether or not a rule needs it.
    if (subject.fileId !== undefined) this.#identify(subject);
    else if (rules.needsIdentity(this.namespaceNow(), this.operation)) return;
    else this.#phase = { is: 'claimed', subject, injection: this.#claim(subject) };
    return this.#phase.injection?.headers();
  }

  identified(subject: Subject): Announced | Promise<Announced> {
    this.#refusable.throwIfRefused();
    this.#identify(subject);
    const { injection } = this.#phase;
    if (injection === null) return NOTHING_KEPT_ASIDE;
    return injection.headers().then(() => ({ keepAside: injection.keepAside }));
  }

  fileBytes(bytes: number, at: (fileBytes: number) => BodyFacts): void | Promise<void> {
    this.#recording?.facts.bytesCame(bytes, at);
    return this.#phase.injection?.body(bytes);
  }

  onRefused(listener: (error: Error) => void): void {
    this.#refusable.onRefused(listener);
  }

  async commit<T>(change: Change<T>, body: BodyFacts): Promise<T> {
    const recorded: Change<T> = {
      run: async () => this.#stored(await this.#refusable.change(() => change.run())),
      defer: () => deferredTelling(change.defer(), (stored) => this.#stored(stored)),
    };
    this.#recording?.facts.bodyIs(body);
    const { injection } = this.#phase;
    if (injection === null) return (await recorded.run()).result;
    return injection.commit(recorded, body);
  }

  /** To be called when the answer is about to be sent: the exchange goes on record. */
  answer(payload: unknown): unknown {
    const body = typeof payload === 'string' || payload instanceof Uint8Array ? String(payload) : '';
    const { injection } = this.#phase;
    if (injection === null) return this.#answered(body, payload);
    return injection
      .answer(body)
      .then((answer) => this.#answered(answer, answer === body ? payload : answer));
  }

  namespaceNow(): string {
    return namespaceOf(this.#request);
  }

  soFar(): ExchangeInFlight | null {
    return this.#recording?.soFar(this.#phase.injection?.holding.now() ?? null) ?? null;
  }

  isHeld(): boolean {
    return this.#phase.injection !== null;
  }

  forget(): void {
    this.#recording?.forget();
  }

  refuse(error: Error): Promise<void> {
    return this.#refusable.refuse(error, this.#phase.injection);
  }

  #identify(subject: Subject): void {
    const { is, injection } = this.#phase;
    if (is === 'identified') return;
    const { operation } = this;
    const [rules, namespace] = [this.#options.rules, this.namespaceNow()];
    const what = attemptSubject(operation, subject, this.#request.url);
    const asking = { namespace, operation, subject };
    const again = is === 'claimed' ? null : claimAgain(rules, asking, this.#recording);
    const attempt = again ? rules.lastAttempt(namespace, what) : rules.attempt(namespace, what);
    this.#recording?.identified(subject, attempt);
    const met = is === 'claimed' ? injection : this.#claim({ ...subject, attempt }, again);
    this.#phase = { is: 'identified', subject, injection: met };
  }

  /**
   * Asks once for the rule that this exchange meets, as soon as enough is known. @param again the claim, if it is known already
   */
  #claim(facts: Subject & { readonly attempt?: number }, again: Claim | null = null): Injection | null {
    const { operation } = this;
    const claim = again ?? this.#options.rules.claim(this.namespaceNow(), { operation, ...facts });
    return claim && this.#injectionOf(claim);
  }

  #injectionOf(claim: Claim): Injection {
    const { rules, actionsOf } = this.#options;
    const namespace = this.namespaceNow();
    const options = {
      wire: { request: this.#request.raw, response: this.#reply.raw },
      requestId: this.#request.id,
      begunMs: this.#begunMs,
      draw: () => rules.draw(namespace),
      actions: actionsOf(namespace),
      onFired: (fired: Claim) => this.#onFired(fired),
      onEnded: (ending: Ending, answerBytes: number | null) => this.#onEnded(ending, answerBytes),
    };
    return new Injection(options, claim, () => this.#phase.subject);
  }

  #onFired(claim: Claim): void {
    const { rule } = claim;
    this.#recording?.fires(claim);
    claim.fired(this.#recording?.seq);
    if (!this.#reply.raw.headersSent) this.#reply.header('x-mock-fault', rule.id);
    const { id } = this.#request;
    const [fired, why] = [toldOf(claim), explain(rule)];
    const line = { reqId: id, namespace: this.namespaceNow(), ...fired, explain: why };
    this.#options.logger.info(line, 'a rule fired');
    this.#recording?.publish('fault', { ...fired, requestId: id, explain: why });
  }

  #onEnded(outcome: Ending, answerBytes: number | null): void {
    const response = answerBytes === null ? null : responseOf(this.#request, this.#reply, answerBytes);
    this.#recording?.cut(outcome, response);
  }

  #stored<S extends Stored>(stored: S): S {
    this.#recording?.stored(stored, this.#phase.subject);
    return stored;
  }

  #answered(answer: string, payload: unknown): unknown {
    const [request, reply] = [this.#request, this.#reply];
    const bytes = this.#phase.injection?.answerBytes ?? Buffer.byteLength(answer);
    const answered = { request, reply, answer, isBodyWhole: request.raw.complete };
    this.#recording?.answered(responseOf(request, reply, bytes), answered);
    return payload;
  }

  /**
   * To be called when the connection is done with the exchange. Only a late commit, or a fault that now notices that its client
   * has left, can still follow.
   */
  #closed(): void {
    this.#phase.injection?.end();
    this.#options.live.remove(this);
    this.#recording?.closed();
  }
}

/** Reports what the deferred change stored when it is made. */
function deferredTelling(change: DeferredChange, tell: (stored: Stored) => Stored): DeferredChange {
  const run = async (): Promise<Stored | null> => {
    const stored = await change.run();
    return stored && tell(stored);
  };
  return { run, drop: () => change.drop() };
}
