// journal/recording.ts: collects the facts of one running exchange as they become known, and makes one draft of them.
//
// Promises: unknown facts stay null; the draft is complete at any time.
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
  /** Milliseconds of machine time that never jump. */
  readonly now: () => number;
}

/** What is known when the answer is sent or the connection ends. */
export interface End {
  readonly outcome: Outcome;
  readonly response: Exchange['response'];
  /** Epoch milliseconds by the namespace's clock. The namespace is known only after the key was checked. */
  readonly atMs: number;
  readonly endedAfter: number | null;
  readonly timing: Exchange['timing'];
}

/** Facts about an unfinished exchange that the recording itself does not know. */
export interface SoFar extends Pick<ExchangeInFlight, 'namespace' | 'seq' | 'heldBy'> {
  /** As in `End`. */
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
    /** For the check against the contract; never kept. */
    readonly value?: string | undefined;
  }[];
}

/** Shared by most exchanges, to save memory. */
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

  /** More of the body arrived. `at(n)` gives the body as it was when the file had n bytes. */
  bytesCame(fileBytes: number, at: BodyAt): void {
    this.#bodyMs = this.#elapsed();
    this.#fileBytes = fileBytes;
    this.#bodyAt = at;
  }

  /** The whole body arrived. */
  bodyIs(body: SeenBody): void {
    this.#whole = body;
  }

  /** Counts the body as not received, however much of it was read. */
  nothingCame(): void {
    this.#bodyAt = nothing;
    this.#whole = null;
  }

  /** Cuts the file at this length: bytes that the socket read beyond it do not count. */
  cutAt(fileBytes = Number.POSITIVE_INFINITY): void {
    this.#cutAt = fileBytes;
  }

  /** The received body, as far as it counts. */
  body(): SeenBody {
    const whole = this.#whole;
    if (whole !== null && this.#cutAt > whole.fileBytes) return whole;
    return this.#bodyAt(Math.min(this.#cutAt, this.#fileBytes));
  }

  /** To be called just before the answer is sent. */
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

  /** The exchange's present state, while it has not ended. */
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
