// http/routes/keys.ts: maps an API key to its namespace (rules K1-K5).
//
// Promises: configured keys are compared in constant time. A key is never shown or logged: its namespace is a short hash of it.
// Must not know: routes, what a namespace holds.
import { namespaceOfDigest, PUBLIC_NAMESPACE, type Caller } from '../../core/namespace.ts';
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { FifoMap } from 'toad-cache';
import { AppError } from '../../core/errors.ts';

const MAX_REMEMBERED = 10_000;

export class Keys {
  /** Empty: mode `open`, in which every key is accepted (rule K2). */
  readonly #known: readonly Buffer[];
  readonly #namespaces = new FifoMap<string>(MAX_REMEMBERED);

  constructor(keys: readonly string[]) {
    this.#known = keys.map(digestOf);
  }

  /** The caller of a route that requires a key. @throws AppError `api_key_missing`, `api_key_invalid` */
  caller(headers: IncomingHttpHeaders): Caller {
    const key = keyIn(headers);
    if (key === null) throw missing();
    return { namespace: this.#namespaceOf(key), fallback: this.#isOpen ? PUBLIC_NAMESPACE : null };
  }

  /** The caller of a route that works without a key in mode `open` (rule K3). @throws as `caller` when keys are configured */
  callerOrPublic(headers: IncomingHttpHeaders): Caller {
    if (this.#isOpen && keyIn(headers) === null) return { namespace: PUBLIC_NAMESPACE, fallback: null };
    return this.caller(headers);
  }

  get #isOpen(): boolean {
    return this.#known.length === 0;
  }

  #namespaceOf(key: string): string {
    if (!this.#isOpen) return this.#check(key);
    const remembered = this.#namespaces.get(key);
    if (remembered !== undefined) return remembered;
    const namespace = namespaceOfDigest(digestOf(key));
    this.#namespaces.set(key, namespace);
    return namespace;
  }

  #check(key: string): string {
    const digest = digestOf(key);
    // Every known key is compared, even after a match, so that the time reveals nothing.
    const fits = this.#known.filter((known) => timingSafeEqual(known, digest));
    if (fits.length === 0) {
      throw new AppError(
        'api_key_invalid',
        'this API key is not known to the server; check --api-keys of the server and X-API-Key of the client',
      );
    }
    return namespaceOfDigest(digest);
  }
}

/** Compares the token of the admin plane in constant time. */
export function isSameSecret(given: string, expected: string): boolean {
  return timingSafeEqual(digestOf(given), digestOf(expected));
}

export function bearerIn(headers: IncomingHttpHeaders): string | null {
  return /^Bearer +(\S.*)$/i.exec(headers.authorization ?? '')?.[1]?.trim() ?? null;
}

function keyIn(headers: IncomingHttpHeaders): string | null {
  const header = headers['x-api-key'];
  const key = (Array.isArray(header) ? header[0] : header)?.trim();
  return key === undefined || key === '' ? bearerIn(headers) : key;
}

function missing(): AppError {
  return new AppError(
    'api_key_missing',
    'the request has no API key; send X-API-Key: <key> or Authorization: Bearer <key>',
  );
}

function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
