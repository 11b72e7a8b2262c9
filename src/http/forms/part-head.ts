// http/forms/part-head.ts: the headers of one part and the boundary of a form, as real senders write them (RFC 7578 §4.2).
//
// Promises: quoted and unquoted parameters, `\"` in names, folded lines and any order of headers are understood. Names come
// decoded (header-text.ts), and `filename*` wins over `filename` (RFC 6266 §4.3). What is not understood leaves a part without
// a name, which no route wants.
// Must not know: bodies, routes.
import { FifoMap } from 'toad-cache';
import { AppError } from '../../core/errors.ts';
import { decodeExtended, decodeName } from './header-text.ts';

export interface PartHead {
  /** Null when the part has no usable name: it is ignored, like every part that nobody asked for. */
  readonly name: string | null;
  readonly filename: string | undefined;
  /** The `charset` of its Content-Type, in lower case. Undefined: it names none. */
  readonly charset: string | undefined;
  /** The Content-Transfer-Encoding, where it is one that changes the bytes. Undefined: they are as they are. */
  readonly transferEncoding: string | undefined;
}

/**
 * Heads that were parsed before, whoever sent them: what they mean depends on nothing else. A client sends the same ones
 * with every chunk, and parsing costs more than finding.
 */
const MAX_KNOWN = 256;
const known = new FifoMap<PartHead>(MAX_KNOWN);
const MAX_KNOWN_BYTES = 256;

/**
 * `head` begins with the CRLF of the delimiter line and ends before the empty line.
 * Null: a delimiter stands in it, so that empty line is another part's.
 */
export function parsePartHead(head: Buffer, delimiter: Buffer): PartHead | null {
  const key = head.length > MAX_KNOWN_BYTES ? null : head.toString('latin1');
  const found = key === null ? undefined : known.get(key);
  if (found !== undefined) return found;
  if (head.includes(delimiter)) return null;
  const parsed = headOf(parseHeaders(head));
  // With a line that could be the delimiter of another form, it means that only in this one.
  if (key === null || key.includes('\r\n--')) return parsed;
  known.set(key, parsed);
  return parsed;
}

/** Codings that leave the bytes as they are (RFC 2045 §6.2). */
const IDENTITIES = ['', '7bit', '8bit', 'binary'];

/** @param headers by their names in lower case */
export function headOf(headers: ReadonlyMap<string, string>): PartHead {
  const disposition = headers.get('content-disposition') ?? '';
  const parameters = parseParameters(disposition);
  const isFormData = /^form-data\s*(;|$)/i.test(disposition);
  const name = parameters.get('name');
  const charset = parseParameters(headers.get('content-type') ?? '').get('charset');
  const coding = headers.get('content-transfer-encoding') ?? '';
  return {
    name: isFormData && name !== undefined ? decodeName(name) : null,
    filename: filenameIn(parameters),
    charset: charset?.toLowerCase(),
    transferEncoding: IDENTITIES.includes(coding.toLowerCase()) ? undefined : coding,
  };
}

/** RFC 6266 §4.3: the extended notation wins where it can be read. */
function filenameIn(parameters: ReadonlyMap<string, string>): string | undefined {
  const extended = decodeExtended(parameters.get('filename*') ?? '');
  const plain = parameters.get('filename');
  return extended ?? (plain === undefined ? undefined : decodeName(plain));
}

/**
 * RFC 7578 §4.7 forbids senders such a coding. Base64 text that was taken as it is would be stored in place of the file.
 * @throws AppError `unsupported_media_type`
 */
export function refuseTransferEncoding({ name, transferEncoding }: PartHead): void {
  if (transferEncoding === undefined) return;
  throw new AppError(
    'unsupported_media_type',
    `the part ${name} has the Content-Transfer-Encoding ${JSON.stringify(transferEncoding.slice(0, 80))}; send its bytes as they are, without one`,
  );
}

/** By their names in lower case. The first of a name counts; a line that is no header is passed over. */
function parseHeaders(head: Buffer): Map<string, string> {
  const headers = new Map<string, string>();
  // A line that begins with a space continues the one before (RFC 5322 §2.2.3).
  const lines = head
    .toString('utf8')
    .replaceAll(/\r\n(?=[ \t])/g, '')
    .split('\r\n');
  for (const line of lines) {
    const colon = line.indexOf(':');
    // To some readers, a line with a bare CR or LF is two.
    if (colon === -1 || /[\r\n]/.test(line)) continue;
    const name = line.slice(0, colon).trim().toLowerCase();
    if (!headers.has(name)) headers.set(name, line.slice(colon + 1).trim());
  }
  return headers;
}

/** The boundary of a `multipart/form-data` content type; null when there is none that RFC 2046 allows. */
export function boundaryOf(contentType: string): string | null {
  const [, plain] = /^multipart\/form-data; *boundary=([\w'()+,./:=?-]{1,200})$/i.exec(contentType) ?? [];
  const boundary = plain ?? parseParameters(contentType).get('boundary');
  return boundary !== undefined && /^[\x20-\x7e]{1,200}$/.test(boundary) ? boundary : null;
}

/**
 * `; name=value` and `; name="quoted value"` after the first token. The first of a name counts. Browsers and curl escape no
 * backslash: where one would take away the closing quote, all of them are characters like any other.
 */
function parseParameters(value: string): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const [, name, escaped, plain, token] of value.matchAll(
    /;\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|"([^"]*)"|([^\s;"]*))/gs,
  )) {
    const key = (name ?? '').toLowerCase();
    if (parameters.has(key)) continue;
    parameters.set(key, escaped?.replaceAll(/\\(["\\])/g, '$1') ?? plain ?? token ?? '');
  }
  return parameters;
}
