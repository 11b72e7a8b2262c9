// admin/query.ts: what a request on the admin plane says beside its body: whose namespace it is about, and the choices
// in its query, and a body that was left out.
//
// Promises: a wrong value is an error and is never ignored. A namespace is `public`, the hash of a key or `*`, so that no other text becomes a
// part of a path on the disk.
import { ALL_NAMESPACES, isNamespace } from '../core/namespace.ts';
import type { FastifyRequest } from 'fastify';
import { invalidFields } from '../core/errors.ts';
import type { Keys } from '../http/routes/keys.ts';
import { queryOf } from '../http/forms/text.ts';

/** @throws AppError `invalid_request` */
export type NamespaceOf = (request: FastifyRequest) => string;

/** By `?namespace=`, else by the request's key, as on the contract routes: who gets this far may see every one (§9). */
export function createNamespaceOf(keys: Keys, token: string | null): NamespaceOf {
  return (request) => {
    const { namespace } = queryOf(request);
    if (namespace !== undefined) return named(namespace);
    const { 'x-api-key': key } = request.headers;
    // The Authorization header may hold the admin token: only X-API-Key names a namespace then.
    return keys.callerOrPublic(token === null ? request.headers : { 'x-api-key': key }).namespace;
  };
}

function named(namespace: unknown): string {
  if (typeof namespace === 'string' && (namespace === ALL_NAMESPACES || isNamespace(namespace)))
    return namespace;
  const message = 'expected `public`, the `ns_…` of a key, or `*`';
  throw invalidFields([{ field: 'namespace', message }]);
}

/** For calls that need exactly one namespace. */
export function onlyOne(namespace: string): string {
  if (namespace !== ALL_NAMESPACES) return namespace;
  const message = 'this call needs one namespace, not all; name one, or send its key';
  throw invalidFields([{ field: 'namespace', message }]);
}

/** One of the values, or undefined when the query does not say. @throws AppError `invalid_request` */
export function choiceIn<T extends string>(
  request: FastifyRequest,
  field: string,
  values: readonly T[],
): T | undefined {
  const given = queryOf(request)[field];
  const choice = values.find((value) => value === given);
  if (choice !== undefined || given === undefined) return choice;
  throw invalidFields([{ field, message: `expected ${values.join(' or ')}` }]);
}

/** The body. A missing body means `{}`. A `null` stays null and is refused later, because it is probably a mistake of the client. */
export function bodyOf({ body }: FastifyRequest): unknown {
  return body === undefined ? {} : body;
}
