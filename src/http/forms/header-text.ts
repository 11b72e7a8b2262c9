// http/forms/header-text.ts: decodes the names in a part's headers, which senders encode in several ways.
//
// Promises: text that cannot be decoded stays as it came. That is safe, because only the extension of a file name has an effect.
// Must not know: which parameter a text belongs to.

/** `charset'language'percent-encoded` (RFC 8187 §3.2). Undefined: the text has another form or an unknown charset. */
export function decodeExtended(text: string): string | undefined {
  const [, charset, encoded] = /^([\w-]+)'[\w-]*'((?:[^%'"\s]|%[\da-f]{2})*)$/i.exec(text) ?? [];
  if (charset === undefined || encoded === undefined) return undefined;
  const bytes = encoded.replaceAll(/%(..)/g, (_escape, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  return decodeBytes(charset, Buffer.from(bytes, 'latin1'));
}

/** Browsers and curl escape only these three characters (WHATWG HTML, multipart form data). */
const ESCAPES: Readonly<Record<string, string>> = { '%22': '"', '%0D': '\r', '%0A': '\n' };

/** RFC 2047 §2: `=?charset?B or Q?text?=`. Space between two encoded words is dropped (RFC 2047 §6.2). */
const WORD = /=\?([\w-]+)(?:\*[\w-]+)?\?([bq])\?([^?\s]*)\?=(?:\s+(?==\?))?/gi;

/** Decodes a `name` or `filename` with the escapes of browsers or with the encoded words that .NET and Spring write. */
export function decodeName(text: string): string {
  if (text.startsWith('=?') && text.endsWith('?=')) return decodeWords(text);
  return text.includes('%')
    ? text.replaceAll(/%(?:22|0D|0A)/gi, (escape) => ESCAPES[escape.toUpperCase()] ?? escape)
    : text;
}

function decodeWords(text: string): string {
  return text.replaceAll(WORD, (word: string, ...[charset, kind, encoded]: string[]) => {
    const isBase64 = kind?.toUpperCase() === 'B';
    const bytes = isBase64 ? Buffer.from(encoded ?? '', 'base64') : bytesOfQ(encoded ?? '');
    return decodeBytes(charset ?? '', bytes) ?? word;
  });
}

/** The bytes of a word in Q encoding (RFC 2047 §4.2). */
function bytesOfQ(text: string): Buffer {
  const bytes = text
    .replaceAll('_', ' ')
    .replaceAll(/=([\da-f]{2})/gi, (_escape, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 16)),
    );
  return Buffer.from(bytes, 'latin1');
}

function decodeBytes(charset: string, bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder(charset, { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
