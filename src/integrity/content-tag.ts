// integrity/content-tag.ts: the strong validator (RFC 9110 §8.8) of a content. It tells one content of an address from every other.
//
// Promises: the tag changes when the length or the CRC-32 of a chunk changes, and when the upload is deleted and started again. It stays
// the same after a restart, and when the upload becomes its entry.
import { createHash } from 'node:crypto';
import type { StoredContent } from './stored-content.ts';

const DIGITS = 32;

/** An entity-tag, with its quotes. */
export function tagOf({ life, bytes, sums }: StoredContent): string {
  const hash = createHash('sha256').update(`${life} ${bytes} `);
  for (const column of sums?.columns() ?? []) hash.update(column);
  return `"${hash.digest('hex').slice(0, DIGITS)}"`;
}
