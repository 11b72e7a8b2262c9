// http/forms/text.ts: decodes text of clients: UTF-8 or the declared charset in a form's parts, and percent-encoded UTF-8 in
// queries and urlencoded bodies.
//
// Promises: text that cannot be decoded is refused, and the refusal names its field. Lenient decoders write U+FFFD or keep the
// percent signs: two files could then get one name, and a client would never learn of its mistake.
// Must not know: which fields there are.
import { AppError, invalidFields } from '../../core/errors.ts';

/**
 * Keeps a byte order mark as text. One decoder serves all calls, because creating a decoder costs more than decoding most texts.
 */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Null: the bytes are not UTF-8. */
function decodeUtf8(bytes: Uint8Array): string | null {
  if (bytes.length <= MAX_SHORT_BYTES && isAscii(bytes)) return String.fromCharCode(...bytes);
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

/** Most fields are short numbers and ids. For them, one call of the decoder costs more than checking each byte. */
const MAX_SHORT_BYTES = 64;

function isAscii(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte > 0x7f) return false;
  return true;
}

/**
 * @param charset the charset that the part declares (RFC 7578 §4.4), in lower case; the default is UTF-8
 * @throws AppError `invalid_request` naming the field
 */
export function decodeText(field: string, bytes: Uint8Array, charset = 'utf-8'): string {
  const text = decodeAs(charset, bytes);
  if (typeof text === 'string') return text;
  const name = charset === 'utf-8' ? 'UTF-8' : JSON.stringify(charset.slice(0, 40));
  const message =
    text === null
      ? `not ${name} text`
      : `declared as ${name}, a charset that this server does not know; send UTF-8`;
  throw invalidFields([{ field, message }]);
}

/** Null: the bytes are not valid in this charset. Undefined: the charset is unknown. */
function decodeAs(charset: string, bytes: Uint8Array): string | null | undefined {
  if (charset === 'utf-8' || charset === 'utf8') return decodeUtf8(bytes);
  // The Encoding Standard reads this name as windows-1252, in which every byte is valid.
  if (charset === 'us-ascii' || charset === 'ascii')
    return isAscii(bytes) ? Buffer.from(bytes).toString('latin1') : null;
  const declared = decoderOf(charset);
  try {
    return declared?.decode(bytes);
  } catch {
    return null;
  }
}

/** Undefined: the platform does not know the charset. */
function decoderOf(charset: string): typeof decoder | undefined {
  try {
    return new TextDecoder(charset, { fatal: true });
  } catch {
    return undefined;
  }
}

/** @throws AppError `malformed_json` */
export function parseJson(
  bytes: Uint8Array,
  parse: (text: string) => unknown = (text) => JSON.parse(text) as unknown,
): unknown {
  const text = decodeUtf8(bytes);
  if (text === null)
    throw new AppError('malformed_json', 'the body is declared as JSON but is not UTF-8 text');
  try {
    return parse(text);
  } catch (error) {
    const got = text === '' ? 'is empty' : `cannot be read as JSON: ${(error as SyntaxError).message}`;
    throw new AppError('malformed_json', `the body is declared as JSON but ${got}`);
  }
}

/**
 * The values of each name, in order.
 * @param text `application/x-www-form-urlencoded`, one character a byte (latin1)
 * @throws AppError `invalid_request` naming the first field that is not percent-encoded UTF-8
 */
export function parseUrlencoded(text: string): Map<string, string[]> {
  const fields = new Map<string, string[]>();
  for (const pair of text.split('&').filter((one) => one !== '')) {
    const [, rawName = '', rawValue = ''] = /^([^=]*)=?(.*)$/s.exec(pair) ?? [];
    const [name, value] = [unescaped(rawName), unescaped(rawValue)];
    if (name === null || value === null)
      throw invalidFields([{ field: name ?? rawName, message: 'not percent-encoded UTF-8 text' }]);
    const values = fields.get(name);
    if (values === undefined) fields.set(name, [value]);
    else values.push(value);
  }
  return fields;
}

/** Null: a percent sign lacks two hexadecimal digits, or the bytes are not UTF-8. */
function unescaped(text: string): string | null {
  if (/^[\w.~-]*$/.test(text)) return text; // Most texts need no decoding.
  if (/%(?![\da-f]{2})/i.test(text)) return null;
  const bytes = text
    .replaceAll('+', ' ')
    .replaceAll(/%(..)/g, (_escape, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  return decodeUtf8(Buffer.from(bytes, 'latin1'));
}

/**
 * The query of a request: one value by its name, or a list of values when the name comes more than once.
 * @throws as `parseUrlencoded`; `request.query` would keep undecodable text as it came
 */
export function queryOf({ url }: { readonly url: string }): Readonly<Record<string, unknown>> {
  const [, query = ''] = /[?#](.*)$/s.exec(url) ?? []; // The router splits the URL in the same way.
  const fields = [...parseUrlencoded(query)];
  return Object.fromEntries(fields.map(([name, values]) => [name, values.length === 1 ? values[0] : values]));
}
