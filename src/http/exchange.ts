// http/exchange.ts: declares what the hooks of this folder attach to a request, and opens the body of a form.
//
// Promises: `request.operation` is a contract operationId or the pattern of another route, so the set of values is bounded and
// fit for a metric.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../core/errors.ts';
import { PUBLIC_NAMESPACE, type Caller } from '../core/namespace.ts';
import { BodyFeed, type FeedBudget } from './connection/body-feed.ts';
import { malformed } from './forms/multipart-reader.ts';
import type { Subject } from '../contract/operations.ts';
import { boundaryOf } from './forms/part-head.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The operationId in openapi.yaml. Absent on routes outside the contract. */
    operationId?: string;
    /** The chunk operations work without a key in mode `open` (rule K3). */
    isKeyOptional?: boolean;
    /** Reads the subject of the request from its URL, where the URL names a subject. */
    subjectOf?: (request: { readonly url: string }) => Subject;
  }
  interface FastifyRequest {
    /** Set before a contract route's handler runs. */
    caller: Caller | null;
    errorCode: string;
    /** Facts for the log line beyond status and time. */
    facts: Record<string, unknown>;
  }
}

/** To be called before the routes are registered, so that every request has the declared properties. */
export function decorateRequests(app: FastifyInstance): void {
  app.decorateRequest('caller', null);
  app.decorateRequest('observer', null);
  app.decorateRequest('begun', 0);
  app.decorateRequest('errorCode', '');
  app.decorateRequest('facts', null as never);
}

export function operationOf(request: FastifyRequest): string {
  return request.routeOptions.config.operationId ?? request.routeOptions.url ?? 'unknown';
}

/**
 * Whether a request target belongs to the admin plane. The target may be percent-encoded or absolute. An unreadable target does
 * not belong to the admin plane.
 */
export function isOfAdminPlane(target: string): boolean {
  try {
    return decodeURIComponent(new URL(target, 'http://localhost').pathname).startsWith('/__admin');
  } catch {
    return false;
  }
}

/** The caller that the key hook found. */
export function callerOf(request: FastifyRequest): Caller {
  if (request.caller === null) throw new Error('the key hook did not run');
  return request.caller;
}

/** The namespace of the exchange. A request without a checked key belongs to the public namespace. */
export function namespaceOf({ caller }: FastifyRequest): string {
  return caller?.namespace ?? PUBLIC_NAMESPACE;
}

export interface FormBody {
  readonly boundary: string;
  readonly feed: BodyFeed;
  /** 0: the client did not declare the length. */
  readonly declaredBytes: number;
}

export interface BodyRules {
  readonly idleMs: number;
  readonly budget: FeedBudget;
}

/** @throws as `boundaryIn` */
export function openForm(request: FastifyRequest, rules: BodyRules): FormBody {
  const boundary = boundaryIn(request.headers['content-type'] ?? '');
  const declaredBytes = Number(request.headers['content-length'] ?? 0);
  return { boundary, feed: new BodyFeed(request.raw, rules.idleMs, rules.budget), declaredBytes };
}

/** @throws AppError `unsupported_media_type`, `malformed_multipart` */
export function boundaryIn(contentType: string): string {
  if (!isMultipart(contentType)) {
    throw new AppError(
      'unsupported_media_type',
      `the body has ${contentType === '' ? 'no Content-Type' : `the Content-Type ${JSON.stringify(contentType.slice(0, 80))}`}; send multipart/form-data`,
    );
  }
  const boundary = boundaryOf(contentType);
  if (boundary !== null) return boundary;
  throw malformed(
    'the Content-Type has no usable boundary; let the HTTP library set this header for the form',
  );
}

/**
 * Refuses a body with a Content-Encoding: a compressed form would look broken, and a compressed file would be stored compressed.
 * The answer names the accepted coding (RFC 9110 §15.5.16).
 * @throws AppError `unsupported_media_type`
 */
export function refuseContentCoding(request: FastifyRequest, reply: FastifyReply): void {
  const coding = request.headers['content-encoding']?.trim() ?? '';
  if (request.method !== 'POST' || coding === '' || coding.toLowerCase() === 'identity') return;
  reply.header('accept-encoding', 'identity');
  throw new AppError(
    'unsupported_media_type',
    `the body has the Content-Encoding ${JSON.stringify(coding.slice(0, 80))}; send it without a Content-Encoding`,
  );
}

export function isMultipart(contentType: string): boolean {
  return /^multipart\/form-data\s*(;|$)/i.test(contentType);
}

/** An answer about state that changes must not come from a cache (§1). */
export function forbidCaching(reply: FastifyReply): void {
  reply.header('cache-control', 'no-store');
}
