// http/exchange.ts: what the plugins of this folder attach to a request, and how a form's body is opened.
//
// Promises: `request.operation` is a contract operationId or the pattern of another route: a bounded set, fit for a metric.
// Must not know: uploads, media.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../core/errors.ts';
import { PUBLIC_NAMESPACE, type Caller } from '../core/namespace.ts';
import { BodyFeed, type FeedBudget } from './connection/body-feed.ts';
import { malformed } from './forms/multipart-reader.ts';
import type { Subject } from '../contract/operations.ts';
import { boundaryOf } from './forms/part-head.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Of openapi.yaml. Absent on routes that are not part of the contract. */
    operationId?: string;
    /** The chunk operations work without a key in mode `open` (rule K3). */
    isKeyOptional?: boolean;
    /** What the URL says the request is about, where it does. */
    subjectOf?: (request: { readonly url: string }) => Subject;
  }
  interface FastifyRequest {
    /** Set before a contract route's handler runs. */
    caller: Caller | null;
    errorCode: string;
    /** What the log line says of the exchange beyond status and time. */
    facts: Record<string, unknown>;
  }
}

/** To be called before the routes are registered: what the declarations promise is there. */
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

/** Whether a request target is one of the admin plane. It may be percent-encoded, or absolute; unreadable, it is nobody's. */
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

/** Whose exchange it is: of a request without a key, or whose key was not checked yet, everybody's. */
export function namespaceOf({ caller }: FastifyRequest): string {
  return caller?.namespace ?? PUBLIC_NAMESPACE;
}

export interface FormBody {
  readonly boundary: string;
  readonly feed: BodyFeed;
  /** 0: not declared. */
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
      `the body is ${contentType === '' ? 'without a Content-Type' : JSON.stringify(contentType.slice(0, 80))}; send multipart/form-data`,
    );
  }
  const boundary = boundaryOf(contentType);
  if (boundary !== null) return boundary;
  throw malformed(
    'the Content-Type has no usable boundary; let the HTTP library set this header for the form',
  );
}

/**
 * A compressed form would be read as a broken one, and a compressed file stored as it came. The client is told which coding
 * is left (RFC 9110 §15.5.16). @throws AppError `unsupported_media_type`
 */
export function refuseContentCoding(request: FastifyRequest, reply: FastifyReply): void {
  const coding = request.headers['content-encoding']?.trim() ?? '';
  if (request.method !== 'POST' || coding === '' || coding.toLowerCase() === 'identity') return;
  reply.header('accept-encoding', 'identity');
  throw new AppError(
    'unsupported_media_type',
    `the body has the Content-Encoding ${JSON.stringify(coding.slice(0, 80))}; send it as it is, without one`,
  );
}

export function isMultipart(contentType: string): boolean {
  return /^multipart\/form-data\s*(;|$)/i.test(contentType);
}

/** State that changes must not be served from a cache (§1). */
export function forbidCaching(reply: FastifyReply): void {
  reply.header('cache-control', 'no-store');
}
