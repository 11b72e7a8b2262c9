// uploads/storage-key.ts: computes the place of an upload from its fileId.
//
// Promises: the name of the place is a hash, so no string from a client ever becomes part of a path (rule C4).
import { hash } from 'node:crypto';
import { FifoMap } from 'toad-cache';
import type { StorageKey } from './ports.ts';

/** 160 bits of SHA-256. Two fileIds never get the same name in practice. */
const NAME_DIGITS = 40;

/** Number of names that are remembered: an upload needs its name with every chunk. */
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
