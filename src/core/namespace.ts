// core/namespace.ts: what a namespace is called. Each API key has one; uploads, entries, rules, the journal and the clock are kept by it
// (rules K1-K4).
//
// Promises: a namespace is `public` or the hash of a key, so that no string of a client becomes part of a path.
import { createHash } from 'node:crypto';

/** Whose request it is. `fallback`: where a fileId is looked for that the own namespace lacks (rule K3). */
export interface Caller {
  readonly namespace: string;
  readonly fallback: string | null;
}

/** The namespace of requests without a key. */
export const PUBLIC_NAMESPACE = 'public';

/** Stands for all namespaces together where one is asked for. No namespace has this name. */
export const ALL_NAMESPACES = '*';

/** `public`, or the namespace of a key. */
export const NAMESPACE_PATTERN = /^(?:public|ns_[0-9a-f]{16})$/;

/** A name on the disk that may be a namespace's. Looser than the pattern: what counts there is that it cannot lead out of its folder. */
export const NAMESPACE_FOLDER = /^(?:public|ns_\w+)$/;

/** 64 bits: enough that two keys never meet, short enough to read in a log. */
const DIGITS = 16;

/** @param digest SHA-256 of the key */
export function namespaceOfDigest(digest: Buffer): string {
  return `ns_${digest.toString('hex').slice(0, DIGITS)}`;
}

/** The namespace of an API key. */
export function namespaceOfKey(key: string): string {
  return namespaceOfDigest(createHash('sha256').update(key).digest());
}

export function isNamespace(text: string): boolean {
  return NAMESPACE_PATTERN.test(text);
}
