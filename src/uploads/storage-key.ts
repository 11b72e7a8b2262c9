// uploads/storage-key.ts: the place of the upload of a fileId.
//
// Promises: the place is made of a hash: no client string ever becomes part of a path (rule C4), whatever it holds.
import { hash } from 'node:crypto';
import { FifoMap } from 'toad-cache';
import type { StorageKey } from './ports.ts';

/** 160 bits of SHA-256: two fileIds never meet. */
const NAME_DIGITS = 40;

/** Names of fileIds that were asked for of late: an upload asks for its own with every chunk. */
const MAX_NAMES = 1_000;
const names = new FifoMap<string>(MAX_NAMES);

export function placeOf(namespace: string, fileId: string): StorageKey {
  return { kind: 'uploads', namespace, name: nameOf(fileId) };
}

function nameOf(fileId: string): string {
  const known = names.get(fileId);
  if (known !== undefined) return known;
  const name = hash('sha256', fileId, 'hex').slice(0, NAME_DIGITS);
  names.set(fileId, name);
  return name;
}
