// exchange-observer.ts: what surrounds the routes: it records each exchange in the journal and carries the faults of rules
// out, at the places that the routes announce (http/observer.ts).
//
// Promises: an exchange is in the journal before the last byte of its answer is sent, or before its connection ends;
// every answer that a rule touched carries `X-Mock-Fault: <rule id>`.
// Must not know: what the routes do.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Clocks } from './clock.ts';
import { Connections, headMarkOf } from './connections.ts';
import type { Contract } from './contract.ts';
import { Injection, isCutting, type Ending, type FaultActions } from './faults/injection.ts';
import type { RuleBook } from './faults/rule-book.ts';
import { explain } from './faults/explain.ts';
import type { Claim } from './faults/rule-set.ts';
import { isMultipart, operationOf } from './http/exchange.ts';
import { PUBLIC_NAMESPACE } from './http/keys.ts';
import { isAnswered } from './http/linger.ts';
import {
  NO_BODY,
  NOTHING_KEPT_ASIDE,
  type Announced,
  type BodyFacts,
  type Change,
  type Observer,
  type Subject,
} from './http/observer.ts';
import type { Exchange, Outcome } from './journal/exchange.ts';
import type { Journal } from './journal/journal.ts';
import { Recording } from './journal/recording.ts';

export interface SurroundOptions {
  readonly rules: RuleBook;
  /** Null: `--no-journal`. */
  readonly journal: Journal | null;
  readonly clocks: Clocks;
  readonly logger: Logger;
  readonly contract: () => Contract;
  readonly actionsOf: (namespace: string) => FaultActions;
}

/** Registers the hooks. To be called before the routes are. */
export function surround(app: FastifyInstance, options: SurroundOptions): void {
  const connections = new Connections();
  app.addHook('onRequest', (request, reply, done) => {
    if (!request.url.startsWith('/__admin') && request.method !== 'OPTIONS') {
      const connection = connections.next(request.raw.socket);
      request.observer = new ExchangeObserver(options, { request, reply, connection });
    }
    done();
  });
  // After the keys have been checked, and before anything of the body is asked for. A hook that has nothing to wait for
  // calls back; a promise is returned only where a rule makes one.
  app.addHook('preParsing', ({ observer }, _reply, _payload, done) => {
    const begun = observer instanceof ExchangeObserver ? observer.begin() : undefined;
    if (begun === undefined) done();
    return begun;
  });
  app.addHook('onSend', ({ observer }, _reply, payload, done) => {
    const answer = observer instanceof ExchangeObserver ? observer.answer(payload) : payload;
    if (answer instanceof Promise) return answer;
    done(null, answer);
    return undefined;
  });
}

interface Parties {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly connection: Exchange['connection'];
}

class ExchangeObserver implements Observer {
  readonly #options: SurroundOptions;
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  readonly #recording: Recording | null;
  readonly #operation: string;
  readonly #begunMs = performance.now();
  #injection: Injection | null = null;
  #hasClaimed = false;
  #subject: Subject = {};
  #claim: Claim | null = null;
  #seq: number | null = null;

  constructor(options: SurroundOptions, { request, reply, connection }: Parties) {
    this.#options = options;
    this.#request = request;
    this.#reply = reply;
    this.#operation = operationOf(request);
    this.#recording = options.journal === null ? null : this.#record(connection);
    reply.raw.once('close', () => this.#closed());
  }

  get marks(): readonly number[] {
    return this.#options.rules.marks(this.#namespace, this.#operation);
  }

  /** The key is known, the body is not. */
  begin(): void | Promise<void> {
    if (this.#options.rules.needsIdentity(this.#namespace, this.#operation)) return;
    this.#ask();
    return this.#injection?.headers();
  }

  identified(subject: Subject): Announced | Promise<Announced> {
    this.#subject = subject;
    const { fileId, chunkIndex } = subject;
    const attempt = this.#options.rules.attempt(
      this.#namespace,
      JSON.stringify([this.#operation, fileId ?? this.#request.url, chunkIndex]),
    );
    if (this.#recording !== null && fileId !== undefined) {
      this.#recording.upload = { fileId, chunkIndex: chunkIndex ?? null, attempt };
    }
    this.#ask(attempt);
    const injection = this.#injection;
    if (injection === null) return NOTHING_KEPT_ASIDE;
    return injection.headers().then(() => ({ keepAside: injection.keepAside }));
  }

  fileBytes(bytes: number, at: (fileBytes: number) => BodyFacts): void | Promise<void> {
    if (this.#recording !== null) {
      this.#recording.bytesCame();
      this.#recording.body = () => at(this.#cutAt(bytes) ?? bytes);
    }
    return this.#injection?.body(bytes);
  }

  async commit<T>(change: Change<T>, body: BodyFacts): Promise<T> {
    const recorded = { ...change, run: () => this.#run(change) };
    if (this.#recording !== null) {
      const { body: before } = this.#recording;
      this.#recording.body = () => (this.#cutAt(body.fileBytes) === null ? body : before());
    }
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
    this.#checkContract(this.#reply.statusCode, answer);
    const response = this.#response(this.#injection?.answerBytes ?? Buffer.byteLength(answer));
    if (this.#seq === null) this.#append('errorCode' in response ? 'refused' : 'answered', response);
    return payload;
  }

  #response(bytes: number): NonNullable<Exchange['response']> {
    const { statusCode: status } = this.#reply;
    const { errorCode } = this.#request;
    return errorCode === '' ? { status, bytes } : { status, errorCode, bytes };
  }

  readonly #headMark = (): string => headMarkOf(this.#request.raw);

  get #namespace(): string {
    return this.#request.caller?.namespace ?? PUBLIC_NAMESPACE;
  }

  #record(connection: Exchange['connection']): Recording {
    const { clocks } = this.#options;
    const { method, url, id, headers } = this.#request;
    const length = headers['content-length'];
    return new Recording({
      requestId: id,
      connection,
      operation: this.#operation,
      method,
      path: url,
      declaredBytes: length === undefined ? null : Number(length),
      at: () => new Date(clocks.now(this.#namespace)).toISOString(),
      now: () => performance.now(),
    });
  }

  /** Which rule this exchange meets: asked once, as soon as enough is known. */
  #ask(attempt?: number): void {
    if (this.#hasClaimed) return;
    this.#hasClaimed = true;
    const { rules } = this.#options;
    const claim = rules.claim(this.#namespace, { operation: this.#operation, ...this.#subject, attempt });
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
    const { journal, logger } = this.#options;
    const { rule, fault } = claim;
    const { name: phase, ...where } = fault.phase;
    const fired = { ruleId: rule.id, phase, effect: fault.effect, ...where };
    claim.fired();
    if (!this.#reply.raw.headersSent) this.#reply.header('x-mock-fault', rule.id);
    if (this.#recording !== null) {
      this.#recording.fault = fired;
      // However much had to be read to know that this request is meant: it is as if nothing had.
      if (phase === 'headers' && isCutting(fault.effect)) this.#recording.body = () => NO_BODY;
    }
    const { id: reqId } = this.#request;
    logger.info({ reqId, namespace: this.#namespace, ...fired, explain: explain(rule) }, 'a rule fired');
    journal?.publish(this.#namespace, 'fault', { ...fired, requestId: reqId, explain: explain(rule) });
  }

  #onEnded(outcome: Ending, answerBytes: number | null): void {
    const response = answerBytes === null ? null : this.#response(answerBytes);
    if (this.#seq === null) this.#append(outcome, response);
    else this.#options.journal?.amend(this.#seq, { outcome, response }, this.#headMark);
  }

  async #run<T>(change: Change<T>): ReturnType<Change<T>['run']> {
    const outcome = await change.run();
    if (this.#recording === null || outcome.committed === null) return outcome;
    this.#recording.committed = outcome.committed;
    const { fileId, chunkIndex } = this.#subject;
    const what = { operation: this.#operation, fileId, chunkIndex, mediaId: outcome.mediaId };
    this.#options.journal?.publish(this.#namespace, 'ledger', { ...what, ...outcome.committed });
    return outcome;
  }

  /** Where a body fault cut the file, if it did: what the socket had read beyond it does not count. */
  #cutAt(bytes: number): number | null {
    const { fault } = this.#recording ?? { fault: null };
    if (fault === null || fault.phase !== 'body' || !isCutting(fault.effect)) return null;
    return fault.atByte !== undefined && fault.atByte <= bytes ? fault.atByte : null;
  }

  #append(outcome: Outcome, response: Exchange['response']): void {
    if (this.#recording === null) return;
    if (response !== null) this.#recording.answerBegins();
    const draft = this.#recording.draft(this.#namespace, { outcome, response });
    this.#seq = this.#options.journal?.append(draft, this.#headMark).seq ?? null;
    if (this.#recording.fault !== null && this.#seq !== null) this.#claim?.fired(this.#seq);
  }

  /** After everything: an answer that was not sent whole was left by its client, or cut by a fault. */
  #closed(): void {
    this.#injection?.end();
    if (this.#recording === null) return;
    const isWhole = isAnswered(this.#reply.raw);
    if (this.#seq !== null) this.#amendEnd(this.#seq, isWhole, this.#recording.timing());
    else if (!isWhole) this.#append('client-aborted', null);
  }

  #amendEnd(seq: number, isWhole: boolean, timing: Exchange['timing']): void {
    const { journal } = this.#options;
    const outcome = isWhole ? null : journal?.get(seq)?.outcome;
    const hasLeft = outcome === 'answered' || outcome === 'refused';
    if (hasLeft) journal?.amend(seq, { outcome: 'client-aborted', timing }, this.#headMark);
    else journal?.ended(seq, timing);
  }

  /** What either side broke. An answer that a fault made is no answer of the contract's. */
  #checkContract(status: number, answer: string): void {
    if (this.#recording === null || this.#recording.fault !== null) return;
    const { operationId } = this.#request.routeOptions.config;
    if (operationId === undefined) return;
    const contract = this.#options.contract();
    const contentType = this.#reply.getHeader('content-type');
    const type = typeof contentType === 'string' ? contentType : undefined;
    const response = contract.checkResponse({ operationId, status, contentType: type, body: answer });
    this.#recording.contract = { request: this.#requestViolations(operationId), response };
  }

  /** Of a body that was not read to its end, nothing can be said. */
  #requestViolations(operationId: string): string[] {
    const { raw, headers, query, body } = this.#request;
    if (!raw.complete) return [];
    const contentType = headers['content-type'];
    const parts = isMultipart(contentType ?? '') ? this.#recording?.body().parts : undefined;
    const fields = parts?.map(({ name, value }) => (value === undefined ? { name } : { name, value }));
    const sent = fields === undefined ? { body } : { fields };
    const queried = query as Readonly<Record<string, unknown>>;
    return this.#options
      .contract()
      .checkRequest({ operationId, query: queried, headers, contentType, ...sent });
  }
}
