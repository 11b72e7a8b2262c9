// journal/exchange.ts: what one HTTP exchange on a contract route was: the shape that the journal keeps (behaviour §11).
//
// Promises: plain data, ready for JSON; a body is only ever counted, never kept; an API key in a query is masked (K5).
// `null` means "not known" or "none", so that every field but `requestId` is always there.
// Must not know: how an exchange is observed, a server, uploads.

export const OUTCOMES = [
  'answered',
  'client-aborted',
  'fault-closed',
  'fault-reset',
  'fault-crash',
  'refused',
] as const;

/**
 * How it ended. `answered` and `refused`: the whole answer was handed to the socket, the latter with an error code of
 * ours. `client-aborted`: the client left first. `fault-closed`, `fault-reset`: a rule ended the connection, with
 * FIN or RST. `fault-crash`: a rule killed the server in it.
 */
export type Outcome = (typeof OUTCOMES)[number];

export interface Connection {
  /** Counts the connections of the server from 1. */
  readonly id: number;
  /** Counts the exchanges of the connection from 1, with those that are not on record: preflights, the admin plane's. */
  readonly exchange: number;
  readonly reused: boolean;
}

/** A part of the request's form, or as much of it as came. */
export interface Part {
  readonly name: string;
  readonly filename?: string;
  readonly bytes: number;
  /** Eight hexadecimal digits. */
  readonly crc32: string;
}

export interface Body {
  /** `Content-Length`; null: chunked coding, or no body. */
  readonly declaredBytes: number | null;
  readonly receivedBytes: number;
  /** Bytes of the part named `file`. */
  readonly fileBytes: number;
  /** In the order of the form. Of a body that was cut the last one is what had come of it. */
  readonly parts: readonly Part[];
}

interface Timing {
  /** Until the first byte of the answer. As the others in milliseconds since the request's head was read; null: never. */
  readonly firstByteMs: number | null;
  /** Until the last byte read of the request's body. */
  readonly bodyMs: number | null;
  /** Until the answer's last byte or the connection's end; while the answer is being sent, the time so far. */
  readonly totalMs: number;
}

export interface Exchange {
  /** Counts the exchanges of the server, all namespaces together, from 1. */
  readonly seq: number;
  /** Counts the requests of the server in the order in which their heads were read, from 1: `seq` counts those that ended. */
  readonly begun: number;
  /**
   * How many requests had begun when this exchange was over: its answer sent whole, or its connection ended. So a request
   * with a higher `begun` came after it, and nothing else did. Null: it is not over.
   */
  readonly endedAfter: number | null;
  readonly namespace: string;
  /** When the request's head was read, ISO 8601, on the namespace's clock. */
  readonly at: string;
  readonly requestId?: string;
  readonly connection: Connection;
  /** An operationId of the contract, or the pattern of another route. */
  readonly operation: string;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** What it was about, as far as the request got to say so: a URL always does, of a body it has to be read. */
  readonly upload: {
    readonly fileId: string | null;
    readonly chunkIndex: number | null;
    readonly attempt: number | null;
  } | null;
  readonly body: Body;
  /**
   * What it stored, be it late; `offset` is null beyond a gap. Null: nothing new, also when the chunk was there before
   * (C6).
   */
  readonly committed: { readonly offset: number | null; readonly bytes: number } | null;
  /** What the answer to a status query says, whoever made it up. Whether it arrived, `outcome` tells. */
  readonly told: { readonly exists: boolean; readonly currentSize: number } | null;
  readonly fault: {
    readonly ruleId: string;
    readonly phase: string;
    readonly effect: string;
    readonly atByte?: number;
  } | null;
  /** `bytes` of the answer's body. Null: no answer was begun. */
  readonly response: {
    readonly status: number;
    readonly errorCode?: string;
    readonly bytes: number;
  } | null;
  readonly outcome: Outcome;
  /** See transport-replay.ts. */
  readonly suspectedTransportReplay: boolean;
  /** Sentences: where the request and the answer break the contract. */
  readonly contract: { readonly request: readonly string[]; readonly response: readonly string[] };
  readonly timing: Timing;
}

/** An exchange before the journal has numbered and judged it. */
export type ExchangeDraft = Omit<Exchange, 'seq' | 'suspectedTransportReplay'>;

/** What can still change once an exchange is on record: its answer is being sent, its commit comes late. */
export type Amendment = Partial<
  Pick<
    Exchange,
    'body' | 'committed' | 'contract' | 'endedAfter' | 'fault' | 'outcome' | 'response' | 'timing'
  >
>;

/** Objects, numbers and short strings of an exchange without parts; the journal's own record of it included. */
const FIXED_BYTES = 1200;
const PART_BYTES = 160;
const STRING_BYTES = 24;

/** An estimate of the memory that an exchange takes; it errs on the high side. */
export function approximateBytes(exchange: ExchangeDraft): number {
  const { path, requestId, upload, fault, body, contract } = exchange;
  let bytes = FIXED_BYTES + textBytes(path) + textBytes(requestId) + textBytes(upload?.fileId);
  bytes += textBytes(fault?.ruleId);
  for (const { name, filename } of body.parts) bytes += PART_BYTES + textBytes(name) + textBytes(filename);
  for (const sentence of contract.request) bytes += textBytes(sentence);
  for (const sentence of contract.response) bytes += textBytes(sentence);
  return bytes;
}

/** Two bytes a character: what a text beyond Latin-1 takes. */
function textBytes(text: string | null | undefined): number {
  return text === null || text === undefined ? 0 : STRING_BYTES + 2 * text.length;
}

const SECRET_FIELD =
  /^(x-)?(api[-_]?key|key|([a-z]+[-_]?)?token|auth(orization)?|password|secret|sig(nature)?)$/i;

/** The request target with the values of query fields that are named like a secret masked (K5). */
export function pathWithoutSecrets(path: string): string {
  const start = path.indexOf('?');
  if (start === -1) return path;
  const fields = path.slice(start + 1).split('&');
  return `${path.slice(0, start)}?${fields.map(withoutSecret).join('&')}`;
}

function withoutSecret(field: string): string {
  const [raw = ''] = field.split('=', 1);
  return SECRET_FIELD.test(/[%+]/.test(raw) ? decoded(raw) : raw) ? `${raw}=[redacted]` : field;
}

/** Badly encoded ones are read as far as they can be. */
function decoded(raw: string): string {
  const [name = ''] = new URLSearchParams(raw).keys();
  return name;
}

/** One line for a person. */
export function summarize(exchange: Exchange): string {
  const { seq, response, outcome, fault } = exchange;
  const answer = response === null ? 'no answer' : `${response.status}${codeOf(response.errorCode)}`;
  const touched = fault === null ? '' : `, fault ${fault.effect}@${fault.phase} of rule ${fault.ruleId}`;
  return `#${seq} ${describeRequest(exchange)}: ${answer}, ${outcome}${touched}`;
}

type Requested = Pick<Exchange, 'operation' | 'method' | 'path' | 'upload'>;

/** What was asked for, for a person: `uploadChunk (POST /media/chunks) of "f" chunk 2 attempt 1`. */
export function describeRequest({ operation, method, path, upload }: Requested): string {
  return `${operation} (${method} ${shorten(path)})${subjectOf(upload)}`;
}

function codeOf(errorCode: string | undefined): string {
  return errorCode === undefined ? '' : ` ${errorCode}`;
}

function subjectOf(upload: Exchange['upload']): string {
  if (upload === null) return '';
  const { fileId, chunkIndex, attempt } = upload;
  const file = fileId === null ? '' : ` of ${JSON.stringify(shorten(fileId))}`;
  const chunk = chunkIndex === null ? '' : ` chunk ${chunkIndex}`;
  return `${file}${chunk}${attempt === null ? '' : ` attempt ${attempt}`}`;
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
