// journal/exchange.ts: the record of one HTTP exchange on a contract route, as the journal keeps it (behaviour §11).
//
// Promises: plain data, ready for JSON. Bodies are only counted, never kept; an API key in a query is masked (K5). Every
// field except `requestId` is always present; `null` means "not known" or "none".

export const OUTCOMES = [
  'answered',
  'client-aborted',
  'fault-closed',
  'fault-reset',
  'fault-crash',
  'refused',
] as const;

/**
 * How the exchange ended. `answered`, `refused`: the whole answer was handed to the socket; `refused` has one of our error
 * codes. `client-aborted`: the client left first. `fault-closed`, `fault-reset`: a rule ended the connection, with FIN or
 * RST. `fault-crash`: a rule killed the server during the exchange.
 */
export type Outcome = (typeof OUTCOMES)[number];

export interface Connection {
  /** Counts the server's connections from 1. */
  readonly id: number;
  /** Counts the connection's exchanges from 1, including those that are not recorded: preflights and the admin plane's. */
  readonly exchange: number;
  readonly reused: boolean;
}

/** A part of the request's form, as far as it was received. */
export interface Part {
  readonly name: string;
  readonly filename?: string;
  readonly bytes: number;
  /** Eight hexadecimal digits. */
  readonly crc32: string;
}

export interface Body {
  /** `Content-Length`; null with chunked coding or without a body. */
  readonly declaredBytes: number | null;
  readonly receivedBytes: number;
  /** Bytes of the part named `file`. */
  readonly fileBytes: number;
  /** In the order of the form. If the body was cut, the last part holds what had arrived. */
  readonly parts: readonly Part[];
}

interface Timing {
  /** Until the first byte of the answer. All times are milliseconds since the request's head was read; null: never. */
  readonly firstByteMs: number | null;
  /** Until the last byte read of the request's body. */
  readonly bodyMs: number | null;
  /** Until the last byte of the answer or the end of the connection. While the answer is being sent: the time so far. */
  readonly totalMs: number;
}

export interface Exchange {
  /** Counts the exchanges of the server from 1, over all namespaces. */
  readonly seq: number;
  /** Counts requests from 1 in the order in which their heads were read. (`seq` counts exchanges as they are recorded.) */
  readonly begun: number;
  /**
   * How many requests had begun when this exchange was over, that is, when its answer was sent whole or its connection ended.
   * Exactly the requests with a higher `begun` came after it. Null: the exchange is not over.
   */
  readonly endedAfter: number | null;
  readonly namespace: string;
  /** When the request's head was read: ISO 8601, by the namespace's clock. */
  readonly at: string;
  readonly requestId?: string;
  readonly connection: Connection;
  /** An operationId of the contract, or the pattern of another route. */
  readonly operation: string;
  readonly method: string;
  /** With the query. */
  readonly path: string;
  /** The subject of the request as far as it is known. A subject in the body is known only when the body was read that far. */
  readonly upload: {
    readonly fileId: string | null;
    readonly chunkIndex: number | null;
    readonly attempt: number | null;
  } | null;
  readonly body: Body;
  /**
   * What the request stored, even if late; `offset` is null beyond a gap. Null: the request stored nothing new, for example
   * because the chunk was stored before (C6).
   */
  readonly committed: { readonly offset: number | null; readonly bytes: number } | null;
  /** The content of the answer to a status query, even if a rule invented it. `outcome` tells whether it was sent. */
  readonly told: { readonly exists: boolean; readonly currentSize: number } | null;
  readonly fault: {
    readonly ruleId: string;
    readonly phase: string;
    readonly effect: string;
    readonly atByte?: number;
  } | null;
  /** `bytes` counts the answer's body. Null: no answer was begun. */
  readonly response: {
    readonly status: number;
    readonly errorCode?: string;
    readonly bytes: number;
  } | null;
  readonly outcome: Outcome;
  /** See transport-replay.ts. */
  readonly suspectedTransportReplay: boolean;
  /** Sentences that say where the request and the answer break the contract. */
  readonly contract: { readonly request: readonly string[]; readonly response: readonly string[] };
  readonly timing: Timing;
}

/** An exchange before the journal numbers and judges it. */
export type ExchangeDraft = Omit<Exchange, 'seq' | 'suspectedTransportReplay'>;

/** The fields that can change after recording: the answer is still being sent, or the commit comes late. */
export type Amendment = Partial<
  Pick<
    Exchange,
    'body' | 'committed' | 'contract' | 'endedAfter' | 'fault' | 'outcome' | 'response' | 'timing'
  >
>;

/** For the objects, numbers and short strings of an exchange without parts, and for the journal's own entry. */
const FIXED_BYTES = 1200;
const PART_BYTES = 160;
const STRING_BYTES = 24;

/** Estimated memory of an exchange, rather too high than too low. */
export function approximateBytes(exchange: ExchangeDraft): number {
  const { path, requestId, upload, fault, body, contract } = exchange;
  let bytes = FIXED_BYTES + textBytes(path) + textBytes(requestId) + textBytes(upload?.fileId);
  bytes += textBytes(fault?.ruleId);
  for (const { name, filename } of body.parts) bytes += PART_BYTES + textBytes(name) + textBytes(filename);
  for (const sentence of contract.request) bytes += textBytes(sentence);
  for (const sentence of contract.response) bytes += textBytes(sentence);
  return bytes;
}

/** Two bytes per character, which is the case for text beyond Latin-1. */
function textBytes(text: string | null | undefined): number {
  return text === null || text === undefined ? 0 : STRING_BYTES + 2 * text.length;
}

const SECRET_FIELD =
  /^(x-)?(api[-_]?key|key|([a-z]+[-_]?)?token|auth(orization)?|password|secret|sig(nature)?)$/i;

/** The request target. Values of query fields with a secret's name are masked (K5). */
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

/** Badly encoded text is decoded as far as possible. */
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

/** The request in words: `uploadChunk (POST /media/chunks) of "f" chunk 2 attempt 1`. */
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
