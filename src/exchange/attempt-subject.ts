// exchange/attempt-subject.ts: says which requests count as attempts at the same thing: the same operation on the same upload
// and chunk, or on the same path.
//
// Must not know: where attempts are counted.

const MAX_PATH_CHARACTERS = 200;

interface Subject {
  readonly fileId?: string | null | undefined;
  readonly chunkIndex?: number | null | undefined;
}

export function attemptSubject(operation: string, { fileId, chunkIndex }: Subject, url: string): string {
  return `${operation} ${typeof fileId === 'string' ? `${chunkIndex ?? '-'} ${fileId}` : `at ${pathOf(url)}`}`;
}

/** Stands for an exchange without a fileId. Bounded, whatever path a client asks for. */
function pathOf(url: string): string {
  const end = url.indexOf('?');
  return url.slice(0, Math.min(end === -1 ? url.length : end, MAX_PATH_CHARACTERS));
}
