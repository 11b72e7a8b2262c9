// faults/injection.ts: carries out one claimed fault in its exchange.
//
// Promises: a fault acts once, at its place, or its claim is released. A request that is cut off before the commit never
// changes the upload (the change is kept aside until then). A client that leaves ends every wait.
import { STATUS_CODES } from 'node:http';
import type { Subject } from '../contract/operations.ts';
import {
  AnswerInstead,
  NoAnswer,
  type BodyFacts,
  type Change,
  type DeferredChange,
} from '../http/observer.ts';
import { monotonicMs } from '../core/machine-time.ts';
import type { Effect, Fault, FaultOf, PhaseName } from './effects.ts';
import { nameOfFault } from './fault.ts';
import { Holding } from './holding.ts';
import type { Claim } from './rule-armed.ts';
import { finish, hold, interceptEnd, noise, reset, stall, trickle, written, type Wire } from './sockets.ts';

/** How a fault ended the exchange. */
export type Ending = 'fault-closed' | 'fault-reset' | 'fault-crash' | 'client-aborted';

export interface InjectionOptions {
  readonly wire: Wire;
  readonly requestId: string;
  /** When the request came, in milliseconds of `monotonicMs`. */
  readonly begunMs: number;
  /** Returns the next number in [0, 1) of the namespace's seeded sequence. */
  readonly draw: () => number;
  /** Called once, when the fault acts, before any effect is visible. */
  readonly onFired: (claim: Claim) => void;
  /** Called before the connection is ended, with the number of bytes of the answer's body that were sent. */
  readonly onEnded: (ending: Ending, answerBytes: number | null) => void;
  readonly actions: FaultActions;
}

/** How faults change state, for one namespace. */
export interface FaultActions {
  forget(subject: Subject): Promise<void>;
  /** The body of the status answer from before the last stored chunk. */
  staleStatus(subject: Subject): Promise<string>;
  failPublish(mediaId: string, failure: { platform: string; reason?: string | undefined }): Promise<void>;
  /** Kills the process after the exchange was recorded. */
  crash(): never;
  /** Makes the change when the namespace's clock has moved on by `ms` milliseconds, or drops it. */
  later(ms: number, change: DeferredChange): void;
}

export class Injection {
  readonly holding: Holding;
  readonly #options: InjectionOptions;
  readonly #claim: Claim;
  readonly #fault: Fault;
  readonly #subject: () => Subject;
  /** The number of bytes of the answer's body that are sent before the fault stops it. */
  #answerBytes: number | null = null;
  #hasFired = false;
  readonly #interruption = new AbortController();

  /** @param subject returns what is known of the request at that time */
  constructor(options: InjectionOptions, claim: Claim, subject: () => Subject) {
    this.#options = options;
    this.#claim = claim;
    this.holding = new Holding(claim);
    this.#fault = claim.fault;
    this.#subject = subject;
  }

  /** The change must wait until `commit`: the fault may drop it, or delay it without delaying other requests. */
  get keepAside(): boolean {
    const { phase, effect } = this.#fault;
    return phase.name === 'body' || phase.name === 'pre-commit' || effect === 'throttle';
  }

  /** How many bytes of the answer's body will be sent, if not all. Known when `answer` has resolved. */
  get answerBytes(): number | null {
    return this.#answerBytes;
  }

  /**
   * To be called before the body is read, and again when the request is identified, because `forget` needs to know the upload.
   * If the rule depends on the form's fields, they have been read before the first call.
   */
  async headers(): Promise<void> {
    if (this.#fault.effect === 'forget' && this.#subject().fileId === undefined) return;
    if (this.#isAt('headers')) await this.#act();
  }

  /** To be called when the file has reached `bytes` bytes. */
  async body(bytes: number): Promise<void> {
    if (this.#fault.effect === 'throttle') return this.#pace(this.#fault, bytes);
    if (this.#isAt('body') && bytes >= (this.#fault.phase.atByte ?? 0)) await this.#act();
  }

  async commit<T>(change: Change<T>, body: BodyFacts): Promise<T> {
    await this.body(body.fileBytes);
    const fault = this.#fault;
    if (fault.effect === 'late-commit') return this.#commitLate(fault, change);
    if (this.#isAt('pre-commit')) await this.#act();
    const { result, mediaId } = await change.run();
    if (fault.effect === 'fail-publish' && mediaId !== undefined) {
      this.#fire();
      const { platform, reason } = fault;
      await this.#options.actions.failPublish(mediaId, { platform, reason });
    } else if (this.#isAt('post-commit')) await this.#act();
    return result;
  }

  /** To be called before the answer is sent. Returns the answer's body, or its replacement. */
  async answer(body: string): Promise<string> {
    const fault = this.#fault;
    if (this.#hasFired || fault.phase.name !== 'response') return body;
    // A refusal that did not identify the upload has no state to show.
    if (fault.effect === 'stale-status' && this.#subject().fileId === undefined) return body;
    this.#fire();
    if (fault.effect === 'stale-status') return this.#options.actions.staleStatus(this.#subject());
    if (fault.effect === 'empty') return '';
    if (fault.effect === 'delay' && (fault.phase.atByte ?? 0) === 0) await this.#wait(fault);
    else this.#interfere(fault, Buffer.byteLength(body));
    return body;
  }

  /** The exchange is over. A fault that did not act releases its claim. */
  end(): void {
    if (!this.#hasFired) this.#claim.release();
  }

  /** Ends the wait. A request with a change fails with this error; any other request, or a begun answer, loses its connection. */
  interrupt(error: Error): void {
    const { request, response } = this.#options.wire;
    const isTold =
      request.method === 'POST' && !response.headersSent && this.#fault.phase.name !== 'response';
    if (!isTold) request.socket.destroy();
    else this.#interruption.abort(error);
  }

  #isAt(phase: PhaseName): boolean {
    return !this.#hasFired && this.#fault.phase.name === phase && this.#fault.effect !== 'throttle';
  }

  #fire(): void {
    if (this.#hasFired) return;
    this.#hasFired = true;
    this.#options.onFired(this.#claim);
  }

  async #act(): Promise<void> {
    const fault = this.#fault;
    this.#fire();
    if (fault.effect === 'delay') await this.#wait(fault);
    else if (fault.effect === 'forget') await this.#options.actions.forget(this.#subject());
    else if (fault.effect === 'status') throw this.#answerInstead(fault);
    else await this.#cut(fault);
  }

  /** Ends the connection without an answer. Never resolves. */
  async #cut(fault: Fault): Promise<never> {
    const { wire, onEnded } = this.#options;
    if (fault.effect === 'crash') this.#crash(null);
    if (fault.effect === 'reset') {
      onEnded('fault-reset', null);
      reset(wire);
    } else if (
      fault.effect === 'stall' &&
      !(await this.holding.during(stall(wire, fault.ms ?? null, this.#interruption.signal)))
    ) {
      this.#interruption.signal.throwIfAborted();
      onEnded('client-aborted', null);
    } else {
      onEnded('fault-closed', null);
      finish(wire);
    }
    throw new NoAnswer(`${nameOfFault(fault)} of rule ${this.#claim.rule.id}`);
  }

  #crash(answerBytes: number | null): never {
    this.#options.onEnded('fault-crash', answerBytes);
    return this.#options.actions.crash();
  }

  async #wait({ ms, jitterMs }: FaultOf<'delay'>): Promise<void> {
    const { wire, draw, onEnded } = this.#options;
    const { signal } = this.#interruption;
    if (await this.holding.during(hold(wire, ms + Math.round(jitterMs * draw()), signal))) return;
    signal.throwIfAborted();
    onEnded('client-aborted', null);
    throw new NoAnswer('the client left while a rule delayed its request');
  }

  /** Waits until the rate allows `bytes` bytes. */
  async #pace({ bytesPerSecond, phase }: FaultOf<'throttle'>, bytes: number): Promise<void> {
    if (phase.name === 'response' || bytes === 0) return;
    this.#fire();
    const dueMs = (bytes / bytesPerSecond) * 1000 - (monotonicMs() - this.#options.begunMs);
    if (dueMs > 0) await this.#wait({ effect: 'delay', phase, ms: dueMs, jitterMs: 0 });
  }

  #commitLate<T>({ ms, status }: FaultOf<'late-commit'>, change: Change<T>): never {
    this.#fire();
    this.#options.actions.later(ms, change.defer());
    throw this.#answerInstead({
      effect: 'status',
      phase: this.#fault.phase,
      status,
      html: false,
      closing: false,
    });
  }

  #answerInstead({ status, retryAfter, body, html, closing, ...own }: FaultOf<'status'>): AnswerInstead {
    const headers: Record<string, string | string[]> = {
      'content-type': html ? 'text/html' : 'application/json; charset=utf-8',
      ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }),
      ...own.headers,
      ...(closing ? { connection: 'close' } : {}),
    };
    return new AnswerInstead({
      status,
      headers,
      body: body ?? (html ? proxyPage(status) : this.#envelope(status)),
    });
  }

  #envelope(status: number): string {
    const details = { ruleId: this.#claim.rule.id };
    const message = `${STATUS_CODES[status] ?? 'Status'} (injected by rule ${this.#claim.rule.id}, not a real failure)`;
    const { requestId } = this.#options;
    return JSON.stringify({ success: false, message, error: 'injected_fault', details, requestId });
  }

  /** From here on the head is sent unchanged, and the fault decides about the body. */
  #interfere(fault: Fault, length: number): void {
    const { wire, onEnded } = this.#options;
    const { atByte = fault.effect === 'truncate' ? Math.floor(length / 2) : length } = fault.phase;
    const sent = Math.min(atByte, length);
    if (fault.effect === 'reset') onEnded('fault-reset', sent);
    else if (fault.effect === 'stall') this.#answerBytes = sent;
    else if (CLOSING.includes(fault.effect)) onEnded('fault-closed', replacesAnswer(fault) ? null : sent);
    interceptEnd(wire.response, (body, end) => void this.#send(fault, { body, sent, end }));
  }

  async #send(fault: Fault, { body, sent, end }: Outgoing): Promise<void> {
    const { wire, draw, onEnded } = this.#options;
    if (fault.effect === 'throttle') {
      const trickled = await this.holding.during(trickle(wire, body, fault.bytesPerSecond));
      return trickled === body.length ? end(Buffer.alloc(0)) : onEnded('client-aborted', trickled);
    }
    if (!replacesAnswer(fault)) await written(wire.response, body.subarray(0, sent));
    if (fault.effect === 'crash') this.#crash(sent);
    if (fault.effect === 'reset') return reset(wire);
    if (fault.effect === 'delay') return this.#sendLater(fault, { body, sent, end });
    if (fault.effect === 'stall') await this.#sendNothing(fault, sent);
    if (fault.effect === 'garbage') wire.request.socket.write(noise(fault.bytes, draw));
    finish(wire);
  }

  async #sendNothing({ ms }: FaultOf<'stall'>, sent: number): Promise<void> {
    const { wire, onEnded } = this.#options;
    onEnded((await this.holding.during(stall(wire, ms ?? null))) ? 'fault-closed' : 'client-aborted', sent);
  }

  async #sendLater({ ms, jitterMs }: FaultOf<'delay'>, { body, sent, end }: Outgoing): Promise<void> {
    const { wire, draw, onEnded } = this.#options;
    if (await this.holding.during(hold(wire, ms + Math.round(jitterMs * draw())))) end(body.subarray(sent));
    else onEnded('client-aborted', sent);
  }
}

/** An answer whose head is written. */
interface Outgoing {
  readonly body: Buffer;
  /** This many bytes of the body are sent before the fault acts. */
  readonly sent: number;
  /** Sends the rest and ends the exchange as without a fault. */
  readonly end: (rest: Buffer) => void;
}

/** Faults of an answer that end the connection with FIN at a byte that is known beforehand. */
const CLOSING: readonly Effect[] = ['close', 'truncate', 'garbage'];

function replacesAnswer({ effect, phase }: Fault): boolean {
  return effect === 'garbage' && phase.atByte === undefined;
}

/** Whether this effect ends the request for the route. Other effects let the request go on. */
export function isCutting(effect: string): boolean {
  return ['close', 'reset', 'stall', 'status', 'crash'].includes(effect);
}

/** The page that a reverse proxy shows when the server behind it is down. */
function proxyPage(status: number): string {
  const title = `${status} ${STATUS_CODES[status] ?? ''}`.trim();
  return `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n<hr><center>proxy</center>\r\n</body>\r\n</html>\r\n`;
}
