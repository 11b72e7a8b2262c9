// http/forms/part-head.ts: reads the headers of one part and the boundary of a form, as real senders write them (RFC 7578 §4.2).
//
// Promises: quoted and unquoted parameters, `\"` in names, folded lines and any order of headers are understood. Names are
// decoded (header-text.ts), and `filename*` wins over `filename` (RFC 6266 §4.3). A part whose head is not understood has no
// name, and no route uses it.
// Must not know: bodies, routes.
import { FifoMap } from 'toad-cache';
import { AppError } from '../../core/errors.ts';
import { decodeExtended, decodeName } from './header-text.ts';

export interface PartHead {
  /** Null when the part has no usable name. Such a part is ignored, like every unknown part. */
  readonly name: string | null;
  readonly filename: string | undefined;
  /** The `charset` of the part's Content-Type, in lower case. Undefined: the part declares no charset. */
  readonly charset: string | undefined;
  /** The Content-Transfer-Encoding, if it changes the bytes. Undefined: the bytes are not encoded. */
  readonly transferEncoding: string | undefined;
}

/**
 * A cache of parsed heads. A head has one meaning whoever sends it, a client sends the same heads with every chunk, and a
 * look-up is cheaper than parsing.
 */
const MAX_KNOWN = 256;
const known = new FifoMap<PartHead>(MAX_KNOWN);
const MAX_KNOWN_BYTES = 256;

/**
 * `head` begins with the CRLF of the delimiter line and ends before the empty line.
 * Null: the head contains a delimiter, so the empty line belongs to another part.
 */
export function parsePartHead(head: Buffer, delimiter: Buffer): PartHead | null {
  const key = head.length > MAX_KNOWN_BYTES ? null : head.toString('latin1');
  const found = key === null ? undefined : known.get(key);
  if (found !== undefined) return found;
  if (head.includes(delimiter)) return null;
  const parsed = headOf(parseHeaders(head));
  // A head with a line that looks like a delimiter depends on the boundary of its form, so it is not cached.
  if (key === null || key.includes('\r\n--')) return parsed;
  known.set(key, parsed);
  return parsed;
}

/** Codings that do not change the bytes (RFC 2045 §6.2). */
const IDENTITIES = ['', '7bit', '8bit', 'binary'];

/** @param headers by lower-case name */
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

/** The extended notation wins when it can be decoded (RFC 6266 §4.3). */
function filenameIn(parameters: ReadonlyMap<string, string>): string | undefined {
  const extended = decodeExtended(parameters.get('filename*') ?? '');
  const plain = parameters.get('filename');
  return extended ?? (plain === undefined ? undefined : decodeName(plain));
}

/**
 * RFC 7578 §4.7 forbids such a coding. Without this check, base64 text would be stored in the place of the file.
 * @throws AppError `unsupported_media_type`
 */
export function refuseTransferEncoding({ name, transferEncoding }: PartHead): void {
  if (transferEncoding === undefined) return;
  throw new AppError(
    'unsupported_media_type',
    `the part ${name} has the Content-Transfer-Encoding ${JSON.stringify(transferEncoding.slice(0, 80))}; send its bytes as they are, without one`,
  );
}

/** The headers by lower-case name. The first header of a name counts; a line that is not a header is skipped. */
function parseHeaders(head: Buffer): Map<string, string> {
  const headers = new Map<string, string>();
  // A line that begins with a space continues the line before (RFC 5322 §2.2.3).
  const lines = head
    .toString('utf8')
    .replaceAll(/\r\n(?=[ \t])/g, '')
    .split('\r\n');
  for (const line of lines) {
    const colon = line.indexOf(':');
    // Some parsers read a line with a bare CR or LF as two lines, so such a line is skipped.
    if (colon === -1 || /[\r\n]/.test(line)) continue;
    const name = line.slice(0, colon).trim().toLowerCase();
    if (!headers.has(name)) headers.set(name, line.slice(colon + 1).trim());
  }
  return headers;
}

/** The boundary of a `multipart/form-data` content type; null: the boundary is missing or not allowed by RFC 2046. */
export function boundaryOf(contentType: string): string | null {
  const [, plain] = /^multipart\/form-data; *boundary=([\w'()+,./:=?-]{1,200})$/i.exec(contentType) ?? [];
  const boundary = plain ?? parseParameters(contentType).get('boundary');
  return boundary !== undefined && /^[\x20-\x7e]{1,200}$/.test(boundary) ? boundary : null;
}

/**
 * Reads `; name=value` and `; name="quoted value"` after the first token. The first value of a name counts. Browsers and curl do
 * not escape a backslash: if a backslash would hide the closing quote, all backslashes are plain characters.
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
