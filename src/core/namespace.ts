// core/namespace.ts: names of namespaces. Each API key has one namespace. Uploads, entries, rules, the journal and the clock
// are kept per namespace (rules K1-K4).
//
// Promises: a namespace is `public` or the hash of a key, so no text of a client becomes part of a path.
import { createHash } from 'node:crypto';

/** The namespace of a request. `fallback` is where a fileId is looked up that the own namespace lacks (rule K3). */
export interface Caller {
  readonly namespace: string;
  readonly fallback: string | null;
}

/** The namespace of requests without a key. */
export const PUBLIC_NAMESPACE = 'public';

/** Means all namespaces together in calls that take a namespace. No namespace has this name. */
export const ALL_NAMESPACES = '*';

/** `public`, or the namespace of a key. */
export const NAMESPACE_PATTERN = /^(?:public|ns_[0-9a-f]{16})$/;

/** A folder that may be a namespace's. Looser than NAMESPACE_PATTERN: it only keeps the name inside its parent folder. */
export const NAMESPACE_FOLDER = /^(?:public|ns_\w+)$/;

/** 64 bits: enough that two keys never collide in practice, short enough to read in a log. */
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
