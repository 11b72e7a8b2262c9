// journal/recording.ts: one exchange while it runs: facts are put down as they become known, then it is one draft.
//
// Promises: what is not known stays null; the draft is complete whenever it is asked for.
// Must not know: HTTP frameworks, sockets, rules, where the draft goes.
import { hex32 } from '../core/hex32.ts';
import {
  pathWithoutSecrets,
  type Connection,
  type Exchange,
  type ExchangeDraft,
  type Outcome,
  type Part,
} from './exchange.ts';
import type { ExchangeInFlight } from './in-flight.ts';

export interface Beginning {
  readonly requestId: string;
  readonly begun: number;
  readonly connection: Connection;
  readonly operation: string;
  readonly method: string;
  readonly path: string;
  readonly declaredBytes: number | null;
  /** Milliseconds of the machine's time that never jump. */
  readonly now: () => number;
}

/** What is known when the answer is sent, or the connection ends. */
export interface End {
  readonly outcome: Outcome;
  readonly response: Exchange['response'];
  /** Epoch milliseconds on the namespace's clock, which is known only after the key was checked. */
  readonly atMs: number;
  readonly endedAfter: number | null;
  readonly timing: Exchange['timing'];
}

/** What others know of an exchange that has not ended. */
export interface SoFar extends Pick<ExchangeInFlight, 'namespace' | 'seq' | 'heldBy'> {
  /** As of `End`. */
  readonly atMs: number;
}

export interface SeenBody {
  readonly receivedBytes: number;
  readonly fileBytes: number;
  readonly parts: readonly {
    readonly name: string;
    readonly filename?: string | undefined;
    readonly bytes: number;
    readonly crc32: number;
    /** Looked at by a check of the contract, and never kept. */
    readonly value?: string | undefined;
  }[];
}

/** Of most exchanges: one object for all of them is less to keep. */
const NOTHING_BROKEN: Exchange['contract'] = { request: [], response: [] };
const NO_BODY: SeenBody = { receivedBytes: 0, fileBytes: 0, parts: [] };

type BodyAt = (fileBytes: number) => SeenBody;
const nothing: BodyAt = () => NO_BODY;

export class Recording {
  upload: Exchange['upload'] = null;
  committed: Exchange['committed'] = null;
  told: Exchange['told'] = null;
  fault: Exchange['fault'] = null;
  contract: Exchange['contract'] = NOTHING_BROKEN;
  readonly #beginning: Beginning;
  readonly #begunMs: number;
  #firstByteMs: number | null = null;
  #bodyMs: number | null = null;
  #fileBytes = 0;
  #bodyAt: BodyAt = nothing;
  #whole: SeenBody | null = null;
  #cutAt = Number.POSITIVE_INFINITY;

  constructor(beginning: Beginning) {
    this.#beginning = beginning;
    this.#begunMs = beginning.now();
  }

  /** More of the body has come. `at(n)` says what had come when the file had n bytes. */
  bytesCame(fileBytes: number, at: BodyAt): void {
    this.#bodyMs = this.#elapsed();
    this.#fileBytes = fileBytes;
    this.#bodyAt = at;
  }

  /** All of it has come. */
  bodyIs(body: SeenBody): void {
    this.#whole = body;
  }

  /** However much had to be read: it is as if nothing had. */
  nothingCame(): void {
    this.#bodyAt = nothing;
    this.#whole = null;
  }

  /** The file ends there: what the socket had read beyond does not count. */
  cutAt(fileBytes = Number.POSITIVE_INFINITY): void {
    this.#cutAt = fileBytes;
  }

  /** What has come of the body, as far as it counts. */
  body(): SeenBody {
    const whole = this.#whole;
    if (whole !== null && this.#cutAt > whole.fileBytes) return whole;
    return this.#bodyAt(Math.min(this.#cutAt, this.#fileBytes));
  }

  /** The answer is about to be sent. */
  answerBegins(): void {
    this.#firstByteMs ??= this.#elapsed();
  }

  draft(namespace: string, { outcome, response, atMs, endedAfter, timing }: End): ExchangeDraft {
    const { requestId, begun, connection, operation, method, path, declaredBytes } = this.#beginning;
    const { receivedBytes, fileBytes, parts } = this.body();
    return {
      begun,
      endedAfter,
      namespace,
      at: new Date(atMs).toISOString(),
      requestId,
      connection,
      operation,
      method,
      path,
      upload: this.upload,
      body: { declaredBytes, receivedBytes, fileBytes, parts: parts.map(partOf) },
      committed: this.committed,
      told: this.told,
      fault: this.fault,
      response,
      outcome,
      contract: this.contract,
      timing,
    };
  }

  /** How far it is, while it has not ended. */
  soFar({ atMs, ...known }: SoFar): ExchangeInFlight {
    const { requestId, begun, connection, operation, method, path, declaredBytes } = this.#beginning;
    const { receivedBytes, fileBytes } = this.body();
    return {
      begun,
      ...known,
      at: new Date(atMs).toISOString(),
      requestId,
      connection,
      operation,
      method,
      path: pathWithoutSecrets(path),
      upload: this.upload,
      body: { declaredBytes, receivedBytes, fileBytes },
      elapsedMs: this.#elapsed(),
    };
  }

  timing(): Exchange['timing'] {
    return { firstByteMs: this.#firstByteMs, bodyMs: this.#bodyMs, totalMs: this.#elapsed() };
  }

  #elapsed(): number {
    return Math.round((this.#beginning.now() - this.#begunMs) * 10) / 10;
  }
}

function partOf({ name, filename, bytes, crc32 }: SeenBody['parts'][number]): Part {
  return filename === undefined
    ? { name, bytes, crc32: hex32(crc32) }
    : { name, filename, bytes, crc32: hex32(crc32) };
}
