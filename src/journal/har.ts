// journal/har.ts: writes exchanges as an HTTP Archive (HAR 1.2), for tools that show traffic.
//
// Promises: holds only what an exchange holds, so no header, no body and no secret. Facts without a HAR field stand in fields
// that begin with `_`, as the format demands. A part is shown by name, size and checksum, because its value is not kept.
import type { Entry, Har, Param, PostData, Request, Response, Timings } from 'har-format';
import type { Exchange, Part } from './exchange.ts';

/** HAR demands absolute URLs, but an exchange does not know the host. */
const DEFAULT_ORIGIN = 'http://localhost';
/** HAR's value for "not known". */
const UNKNOWN = -1;

/** Our own fields, for facts that HAR has no field for. */
type Own = Readonly<Record<`_${string}`, unknown>>;

/** @param origin such as `http://127.0.0.1:4310` */
export function toHar(exchanges: readonly Exchange[], creatorVersion: string, origin = DEFAULT_ORIGIN): Har {
  const creator = { name: 'xenonflare-mock', version: creatorVersion };
  return {
    log: { version: '1.2', creator, entries: exchanges.map((exchange) => entryOf(exchange, origin)) },
  };
}

function entryOf(exchange: Exchange, origin: string): Entry & Own {
  const timings = timingsOf(exchange);
  const { send, wait, receive } = timings;
  return {
    startedDateTime: exchange.at,
    time: send + wait + receive,
    request: requestOf(exchange, origin),
    response: responseOf(exchange),
    cache: {},
    timings,
    connection: String(exchange.connection.id),
    ...extrasOf(exchange),
  };
}

function requestOf({ method, path, body }: Exchange, origin: string): Request {
  const query = path.includes('?') ? path.slice(path.indexOf('?')) : '';
  return {
    method,
    url: path.startsWith('/') ? `${origin}${path}` : path,
    httpVersion: 'HTTP/1.1',
    cookies: [],
    headers: [],
    queryString: [...new URLSearchParams(query)].map(([name, value]) => ({ name, value })),
    ...(body.parts.length === 0 ? {} : { postData: postDataOf(body.parts) }),
    headersSize: UNKNOWN,
    bodySize: body.receivedBytes,
  };
}

function postDataOf(parts: readonly Part[]): PostData {
  const params = parts.map(({ name, filename, bytes, crc32 }): Param & Own => ({
    name,
    ...(filename === undefined ? {} : { fileName: filename }),
    _bytes: bytes,
    _crc32: crc32,
  }));
  return { mimeType: 'multipart/form-data', params };
}

/** Without an answer the status is 0, as in browsers. */
function responseOf({ response }: Exchange): Response {
  const { status = 0, bytes = UNKNOWN } = response ?? {};
  return {
    status,
    statusText: '',
    httpVersion: response === null ? '' : 'HTTP/1.1',
    cookies: [],
    headers: [],
    content: { size: Math.max(bytes, 0), mimeType: 'x-unknown' },
    redirectURL: '',
    headersSize: UNKNOWN,
    bodySize: bytes,
  };
}

/** Each is at least 0, although an answer may begin before the body has been read. */
function timingsOf({ timing }: Exchange): Timings & { readonly send: number } {
  const { firstByteMs, totalMs } = timing;
  const sentMs = timing.bodyMs ?? 0;
  const answeredMs = Math.max(sentMs, firstByteMs ?? totalMs);
  return { send: sentMs, wait: answeredMs - sentMs, receive: Math.max(totalMs - answeredMs, 0) };
}

function extrasOf(exchange: Exchange): Own {
  return {
    _seq: exchange.seq,
    _namespace: exchange.namespace,
    ...(exchange.requestId === undefined ? {} : { _requestId: exchange.requestId }),
    _operation: exchange.operation,
    _connection: exchange.connection,
    _upload: exchange.upload,
    _body: { declaredBytes: exchange.body.declaredBytes, fileBytes: exchange.body.fileBytes },
    _committed: exchange.committed,
    _told: exchange.told,
    _fault: exchange.fault,
    _errorCode: exchange.response?.errorCode ?? null,
    _outcome: exchange.outcome,
    _suspectedTransportReplay: exchange.suspectedTransportReplay,
    _contract: exchange.contract,
    _timing: exchange.timing,
  };
}
