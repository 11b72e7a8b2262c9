// integrity/content-tag.ts: what tells one content from every other that its address ever had: a strong validator (RFC 9110 §8.8).
//
// Promises: it differs when the content has other bytes, by length and CRC-32 of every chunk, and when it was deleted and begun anew;
// it is the same after a restart, and when an upload becomes its entry.
import { createHash } from 'node:crypto';
import type { StoredContent } from './stored-content.ts';

const DIGITS = 32;

/** An entity-tag, with its quotes. */
export function tagOf({ life, bytes, sums }: StoredContent): string {
  const hash = createHash('sha256').update(`${life} ${bytes} `);
  for (const column of sums?.columns() ?? []) hash.update(column);
  return `"${hash.digest('hex').slice(0, DIGITS)}"`;
}
