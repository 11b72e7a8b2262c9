// http/forms/text.ts: text as clients send it: in a form's parts UTF-8 or of the charset that a part declares, percent-encoded UTF-8
// in queries and urlencoded bodies.
//
// Promises: what is no such text is refused, by the name of its field. Lenient decoders put U+FFFD in its place, or take the
// percent signs literally: two files would come to share one name, and a client would never learn what it does wrong.
// Must not know: which fields there are.
import { AppError, invalidFields } from '../../core/errors.ts';

/** A byte order mark is text like any other. One for all: making one costs more than most texts. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Null: it is not UTF-8. */
function decodeUtf8(bytes: Uint8Array): string | null {
  if (bytes.length <= MAX_SHORT_BYTES && isAscii(bytes)) return String.fromCharCode(...bytes);
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

/** Numbers and ids, the most of all fields. For them the decoder's call costs more than the look at each byte. */
const MAX_SHORT_BYTES = 64;

function isAscii(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte > 0x7f) return false;
  return true;
}

/**
 * @param charset what the part says of itself (RFC 7578 §4.4), in lower case; without it, text is UTF-8
 * @throws AppError `invalid_request` naming the field
 */
export function decodeText(field: string, bytes: Uint8Array, charset = 'utf-8'): string {
  const text = decodeAs(charset, bytes);
  if (typeof text === 'string') return text;
  const name = charset === 'utf-8' ? 'UTF-8' : JSON.stringify(charset.slice(0, 40));
  const message =
    text === null ? `not ${name} text` : `declared as ${name}, a charset that is not known here; send UTF-8`;
  throw invalidFields([{ field, message }]);
}

/** Null: the bytes are not of this charset; undefined: nobody knows it. */
function decodeAs(charset: string, bytes: Uint8Array): string | null | undefined {
  if (charset === 'utf-8' || charset === 'utf8') return decodeUtf8(bytes);
  // To the Encoding Standard this is another name of windows-1252, in which every byte means something.
  if (charset === 'us-ascii' || charset === 'ascii')
    return isAscii(bytes) ? Buffer.from(bytes).toString('latin1') : null;
  const declared = decoderOf(charset);
  try {
    return declared?.decode(bytes);
  } catch {
    return null;
  }
}

/** Undefined: the platform knows no such charset. */
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
  if (text === null) throw new AppError('malformed_json', 'the body says JSON and is not UTF-8 text');
  try {
    return parse(text);
  } catch (error) {
    const got = text === '' ? 'is empty' : `cannot be read as JSON: ${(error as SyntaxError).message}`;
    throw new AppError('malformed_json', `the body says JSON and ${got}`);
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

/** Null: a percent sign without two hexadecimal digits behind it, or bytes that are not UTF-8. */
function unescaped(text: string): string | null {
  if (/^[\w.~-]*$/.test(text)) return text; // The most of them.
  if (/%(?![\da-f]{2})/i.test(text)) return null;
  const bytes = text
    .replaceAll('+', ' ')
    .replaceAll(/%(..)/g, (_escape, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  return decodeUtf8(Buffer.from(bytes, 'latin1'));
}

/**
 * The query of a request: a value by its name, or all of them where there is more than one.
 * @throws as `parseUrlencoded`; `request.query` would hold what cannot be decoded as it came
 */
export function queryOf({ url }: { readonly url: string }): Readonly<Record<string, unknown>> {
  const [, query = ''] = /[?#](.*)$/s.exec(url) ?? []; // As the router divides it.
  const fields = [...parseUrlencoded(query)];
  return Object.fromEntries(fields.map(([name, values]) => [name, values.length === 1 ? values[0] : values]));
}
