// soak/client.ts: one caller of a server. It sends requests and judges how each of them ended.
//
// Promises: each result is one of these: a success; a refusal that the caller expected as possible; an effect of a rule, a restart
// or the caller itself; or a problem. A connection that broke is looked up in the journal. Nothing waits for ever.
// Must not know: uploads.
import type { Agent } from 'node:http';
import { diceFor, type Dice } from '../helpers/dice.ts';
import { LONGEST_FAULT_MS } from './rules.ts';
import type { Life } from './server.ts';
import { newAgent, send, type Cut, type Met, type Silence } from './wire.ts';
import { TIMES, type Site } from './world.ts';

export interface Call {
  /** A description for people. */
  readonly what: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly isAdmin?: boolean;
  /** Undefined: the client's own key. Null: no key. */
  readonly key?: string | null;
  readonly body?: Buffer;
  readonly contentType?: string;
  readonly isCoded?: boolean;
  readonly cut?: Cut;
  readonly silence?: Silence;
  /**
   * The refusals that are possible here, besides those that every call can get. It is asked when the refusal came, which may be
   * long after.
   */
  readonly refusals?: () => readonly string[];
}

export type Outcome =
  | {
      readonly kind: 'success';
      readonly status: number;
      readonly body: Buffer;
      /** The effect of a rule that touched the answer and either did not change its content or is `stale-status`. */
      readonly effect: string | null;
    }
  | { readonly kind: 'refusal'; readonly status: number; readonly code: string; readonly body: Buffer }
  /** An answer of a rule, a broken connection or a restart: it is not known whether anything was done. */
  | { readonly kind: 'trouble' };

const TROUBLE: Outcome = { kind: 'trouble' };
/** Longer than the slowest answers: a fault, a take-over, a stalled disk. */
const PATIENCE_MS = 60_000;
/** A body is never sent more slowly than this, so that every silence is intended. */
const SILENCE_MARGIN_MS = 500;

export class Client {
  readonly site: Site;
  readonly name: string;
  readonly key: string;
  readonly dice: Dice;
  readonly #agent: Agent = newAgent();
  #calls = 0;

  constructor(site: Site, name: string) {
    this.site = site;
    this.name = name;
    this.key = `key-${name}`;
    this.dice = diceFor(site.world.options.seed, name);
    site.keys.add(this.key);
  }

  async call(call: Call): Promise<Outcome> {
    const life = await this.site.server.whenOpen();
    return this.callOn(life, call);
  }

  /** Sends to a process that no other client is let in to yet. */
  async callOn(life: Life, call: Call): Promise<Outcome> {
    const { record } = this.site.world;
    record.counts.requests += 1;
    this.#calls += 1;
    const requestId = `${this.name}-${this.#calls}`;
    const begunAt = performance.now();
    const met = await send({
      method: call.method,
      url: `${call.isAdmin === true ? life.adminUrl : life.url}${call.path}`,
      headers: this.#headersOf(call, requestId),
      ...(call.body === undefined ? {} : { body: call.body }),
      ...(call.cut === undefined ? {} : { cut: call.cut }),
      ...(call.silence === undefined ? {} : { silence: call.silence }),
      isCoded: call.isCoded === true,
      agent: this.#agent,
      patienceMs: PATIENCE_MS,
    });
    const facts = { call, life, requestId, tookMs: performance.now() - begunAt };
    if (met.kind === 'answer') return this.#judge(met, facts);
    await this.#explain(met, facts);
    return TROUBLE;
  }

  /** Lets go of its connections. */
  close(): void {
    this.#agent.destroy();
  }

  problem(sentence: string): void {
    this.site.world.record.problem(`${this.name}: ${sentence}`);
  }

  #headersOf({ key = this.key, contentType }: Call, requestId: string): { [name: string]: string } {
    return {
      'x-request-id': requestId,
      ...(key === null
        ? {}
        : this.#calls % 2 === 0
          ? { 'x-api-key': key }
          : { authorization: `Bearer ${key}` }),
      ...(contentType === undefined ? {} : { 'content-type': contentType }),
    };
  }

  #judge(met: Extract<Met, { kind: 'answer' }>, facts: Facts): Outcome {
    const { record } = this.site.world;
    const { status, headers, body } = met;
    const effect = this.#effectOf(headers['x-mock-fault'], facts);
    if (status < 400) return this.#success({ status, body, effect }, facts);
    const code = codeOf(body);
    // It was the server's own refusal, the page of a proxy, or a body that it broke.
    if (effect !== null && (code === 'injected_fault' || code === null)) {
      record.answered(`${status} by a rule`);
      return TROUBLE;
    }
    return this.#refusal({ status, body }, facts);
  }

  /** Null: no rule touched the answer. */
  #effectOf(ruleId: string | string[] | undefined, { call }: Facts): string | null {
    if (ruleId === undefined) return null;
    const { record, armed } = this.site.world;
    const effect = armed.get(String(ruleId)) ?? null;
    if (effect === null)
      this.problem(`${call.what} was touched by a rule that nobody armed: ${String(ruleId)}`);
    else record.faulted(effect);
    return effect;
  }

  #success(answer: { status: number; body: Buffer; effect: string | null }, facts: Facts): Outcome {
    const { record } = this.site.world;
    const { status, body, effect } = answer;
    if (effect !== null && (effect === 'empty' || effect === 'truncate')) {
      record.answered(`${status} with a body that a rule broke`);
      return TROUBLE;
    }
    if (facts.call.isAdmin !== true && parsed(body) === null) {
      this.problem(`${facts.call.what} was answered ${status} with a body that is no JSON: ${shown(body)}`);
      return TROUBLE;
    }
    record.answered(String(status));
    return { kind: 'success', status, body, effect };
  }

  #refusal(answer: { status: number; body: Buffer }, { call, life, tookMs }: Facts): Outcome {
    const { record } = this.site.world;
    const { status, body } = answer;
    const code = codeOf(body) ?? 'no code';
    record.answered(`${status} ${code}`);
    if (code === 'shutting_down' && this.#hasEnded(life)) return TROUBLE;
    if (code === 'request_timeout' && tookMs >= TIMES.idleMs - SILENCE_MARGIN_MS) return TROUBLE;
    if (call.refusals?.().includes(code) !== true) {
      this.problem(`${call.what} was refused with ${status} ${code}, which nothing explains: ${shown(body)}`);
      return TROUBLE;
    }
    return { kind: 'refusal', status, code, body };
  }

  #hasEnded(life: Life): boolean {
    return this.site.server.isClosed || this.site.server.life?.number !== life.number;
  }

  async #explain(met: Exclude<Met, { kind: 'answer' }>, facts: Facts): Promise<void> {
    const { record } = this.site.world;
    const { call, life } = facts;
    if (met.kind === 'cut') return record.answered('cut by the client');
    if (this.#hasEnded(life)) return record.answered('broken by a restart');
    if (met.kind === 'broken') return this.#explainBroken(met, facts);
    this.problem(
      `${call.what} was not answered within ${PATIENCE_MS / 1000} s; no fault lasts longer than ${LONGEST_FAULT_MS / 1000} s`,
    );
  }

  async #explainBroken(met: Extract<Met, { kind: 'broken' }>, facts: Facts): Promise<void> {
    const { record } = this.site.world;
    const { call, life } = facts;
    const found = await this.#journalOn(life, facts);
    if (this.#hasEnded(life) || found === 'unknown') return record.answered('broken by a restart');
    if (found?.fault) {
      record.faulted(found.fault.effect);
      return record.answered('broken by a rule');
    }
    if (found === null && met.isReused)
      return record.answered('broken before it was sent: the connection had ended');
    const told = found === null ? 'the journal does not know it' : `the journal says ${found.outcome}`;
    this.problem(`${call.what}: the connection broke (${met.why}, status ${met.status}) and ${told}`);
  }

  /** What the server records about a request that broke. Null: it is not on record. Unknown: the server does not answer. */
  async #journalOn(life: Life, { call, requestId }: Facts): Promise<JournalEntry | null | 'unknown'> {
    const { key = this.key } = call;
    const met = await send({
      method: 'GET',
      url: `${life.adminUrl}/requests?limit=${1_000_000}`,
      headers: key === null ? {} : { 'x-api-key': key },
      agent: this.#agent,
      patienceMs: PATIENCE_MS,
    });
    if (met.kind !== 'answer' || met.status !== 200) return 'unknown';
    const { requests } = JSON.parse(met.body.toString()) as { requests: JournalEntry[] };
    return requests.find((exchange) => exchange.requestId === requestId) ?? null;
  }
}

interface Facts {
  readonly call: Call;
  readonly life: Life;
  readonly requestId: string;
  readonly tookMs: number;
}

interface JournalEntry {
  readonly requestId?: string;
  readonly outcome: string;
  readonly fault: { readonly effect: string } | null;
}

function codeOf(body: Buffer): string | null {
  const { error } = (parsed(body) ?? {}) as { error?: string };
  return error ?? null;
}

export function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString()) as unknown;
  } catch {
    return null;
  }
}

function shown(body: Buffer): string {
  return JSON.stringify(body.toString('utf8', 0, 400));
}
