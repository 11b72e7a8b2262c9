// uploads/place.ts: where the upload of a fileId lives.
//
// Promises: the place is made of a hash: no client string ever becomes part of a path (rule C4), whatever it holds.
import { hash } from 'node:crypto';
import type { Place } from './ports.ts';

/** 160 bits of SHA-256: two fileIds never meet. */
const NAME_DIGITS = 40;

export function placeOf(namespace: string, fileId: string): Place {
  const name = hash('sha256', fileId, 'hex').slice(0, NAME_DIGITS);
  return { kind: 'uploads', namespace, name };
}
