// http/forms/header-text.ts: names inside a part's headers, as senders encode what a header cannot hold.
//
// Promises: what cannot be decoded stays as it came: a name decides nothing that could not be refused by its extension.
// Must not know: which parameter a text is of.

/** `charset'language'percent-encoded` (RFC 8187 §3.2). Undefined: it is no such text, or of a charset that is not known. */
export function decodeExtended(text: string): string | undefined {
  const [, charset, encoded] = /^([\w-]+)'[\w-]*'((?:[^%'"\s]|%[\da-f]{2})*)$/i.exec(text) ?? [];
  if (charset === undefined || encoded === undefined) return undefined;
  const bytes = encoded.replaceAll(/%(..)/g, (_escape, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  return decodeBytes(charset, Buffer.from(bytes, 'latin1'));
}

/** Browsers and curl escape these three and nothing else (WHATWG HTML, multipart form data). */
const ESCAPES: Readonly<Record<string, string>> = { '%22': '"', '%0D': '\r', '%0A': '\n' };

/** RFC 2047 §2: `=?charset?B or Q?text?=`. Space between two of them belongs to neither (RFC 2047 §6.2). */
const WORD = /=\?([\w-]+)(?:\*[\w-]+)?\?([bq])\?([^?\s]*)\?=(?:\s+(?==\?))?/gi;

/** A `name` or `filename`: with the escapes of browsers, or with the words that .NET and Spring write. */
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

/** RFC 2047 §4.2. */
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
