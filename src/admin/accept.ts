// admin/accept.ts: which of the forms that there are of an answer its client prefers (RFC 9110 §12.5).
//
// Must not know: what is answered.
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

/** Text for a person, rather than JSON for a program. */
export function prefersText({ headers }: Asking): boolean {
  return new Negotiator({ headers }).mediaType(FORMS) === TEXT;
}

export function takesGzip({ headers }: Asking): boolean {
  return new Negotiator({ headers }).encoding(['gzip', 'identity']) === 'gzip';
}
