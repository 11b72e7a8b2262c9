// admin/accept.ts: content negotiation: the form of an answer that its client prefers (RFC 9110 §12.5).
import Negotiator from 'negotiator';

/**
 * With the charset that is sent: who names one gets the text, too. JSON is first, for those who take anything: many HTTP
 * libraries send `application/json, text/plain, anything` with every request.
 */
const TEXT = 'text/plain; charset=utf-8';
const FORMS = ['application/json', TEXT];

interface Asking {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** True if the client prefers text for a person to JSON for a program. */
export function prefersText({ headers }: Asking): boolean {
  return new Negotiator({ headers }).mediaType(FORMS) === TEXT;
}

export function takesGzip({ headers }: Asking): boolean {
  return new Negotiator({ headers }).encoding(['gzip', 'identity']) === 'gzip';
}
