// http/keys.ts: API key → namespace (rules K1-K5).
//
// Promises: configured keys are compared in constant time; a key is never shown or logged: a namespace is a short
// hash of it.
// Must not know: routes, what a namespace holds.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { FifoMap } from 'toad-cache';
import { AppError } from '../errors.ts';
import type { Caller } from '../uploads/uploads.ts';

export const PUBLIC_NAMESPACE = 'public';

/** 64 bits: enough that two keys never meet, short enough to read in a log. */
const NAMESPACE_DIGITS = 16;
const MAX_REMEMBERED = 10_000;

export class Keys {
  /** Empty: mode `open`, every key is accepted (K2). */
  readonly #known: readonly Buffer[];
  readonly #namespaces = new FifoMap<string>(MAX_REMEMBERED);

  constructor(keys: readonly string[]) {
    this.#known = keys.map(digestOf);
  }

  /** Who calls a route that needs a key. @throws AppError `api_key_missing`, `api_key_invalid` */
  caller(headers: IncomingHttpHeaders): Caller {
    const key = keyIn(headers);
    if (key === null) throw missing();
    return { namespace: this.#namespaceOf(key), fallback: this.#isOpen ? PUBLIC_NAMESPACE : null };
  }

  /** Who calls a route that works without a key in mode `open` (K3). @throws as `caller` when keys are configured */
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
    const namespace = namespaceOf(digestOf(key));
    this.#namespaces.set(key, namespace);
    return namespace;
  }

  #check(key: string): string {
    const digest = digestOf(key);
    // Every known key is compared, whichever fits: the time tells nothing.
    const fits = this.#known.filter((known) => timingSafeEqual(known, digest));
    if (fits.length === 0) {
      throw new AppError(
        'api_key_invalid',
        'this API key is not known to the server; check --api-keys of the server and X-API-Key of the client',
      );
    }
    return namespaceOf(digest);
  }
}

/** Whether the token of the admin plane is the right one, in constant time. */
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
    'no API key came; send X-API-Key: <key> or Authorization: Bearer <key>',
  );
}

function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

function namespaceOf(digest: Buffer): string {
  return `ns_${digest.toString('hex').slice(0, NAMESPACE_DIGITS)}`;
}
