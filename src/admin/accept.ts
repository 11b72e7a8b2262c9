// admin/accept.ts: whether a client wants text for a person or JSON for a program (RFC 9110 §12.5.1).
//
// Must not know: what is answered.

interface Range {
  readonly type: string;
  readonly weight: number;
  /** In the order sent: of equal weights the first one is meant. */
  readonly place: number;
}

/**
 * Text only where it is asked for by name, and not behind JSON: many HTTP libraries send
 * `application/json, text/plain, anything` with every request.
 */
export function prefersText(accept: string | undefined): boolean {
  const ranges = (accept ?? '').split(',').map(rangeOf);
  const text = ranges.find(({ type }) => type === 'text/plain');
  const json = ranges.find(({ type }) => type === 'application/json');
  if (text === undefined || text.weight === 0) return false;
  if (json === undefined || json.weight !== text.weight) return text.weight > (json?.weight ?? 0);
  return text.place < json.place;
}

function rangeOf(written: string, place: number): Range {
  const [type = '', ...parameters] = written.split(';').map((part) => part.trim().toLowerCase());
  const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1';
  return { type, weight: Number.parseFloat(weight), place };
}
