// http/replies.ts: how everything that goes wrong looks on the wire: one envelope, one table (errors.ts).
//
// Promises: a refusal keeps its code and status; an error of a library is mapped here and nowhere else; an unexpected error
// answers `internal_error` without a word of its text, which goes to the log. A client that left gets no answer.
// Must not know: what routes do.
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { AppError, ERRORS, type ErrorCode } from '../errors.ts';
import { ClientGone } from './body-feed.ts';
import { operationOf } from './exchange.ts';
import { AnswerInstead, NoAnswer } from './observer.ts';
import { errorBody } from './schemas.ts';

/** Seconds after which a retryable refusal is worth another try. */
const RETRY_AFTER_SECONDS = 1;

export interface RepliesOptions {
  readonly logger: Logger;
  readonly onAborted: (operation: string) => void;
  /** An upload or entry fails its checks: said once, not with each request. */
  readonly onDamaged: (error: AppError) => void;
  /** Sees to CORS where no route does. */
  readonly allowPages: (request: FastifyRequest, reply: FastifyReply) => void;
}

export function installReplies(app: FastifyInstance, options: RepliesOptions): void {
  const served: { method: string; pattern: RegExp }[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    if (url.includes('*')) return; // The wildcard of the CORS preflight.
    const pattern = new RegExp(`^${url.replaceAll(/:\w+/g, '[^/]+')}$`);
    for (const one of [method].flat()) served.push({ method: one, pattern });
  });
  app.setErrorHandler((error: FastifyError, request, reply) =>
    answerError(error, request, { reply, ...options }),
  );
  const refusalOf = (request: FastifyRequest, reply: FastifyReply): AppError => {
    options.allowPages(request, reply);
    const path = request.url.split('?', 1)[0] ?? '';
    const methods = new Set(served.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method));
    return methods.size === 0 ? noRoute(request, path) : wrongMethod(request, reply, [...methods]);
  };
  // Before the body is read: what is in it must not decide how a missing route is refused.
  app.addHook('preParsing', (request, reply, _payload, done) => {
    done(request.is404 ? refusalOf(request, reply) : null);
  });
  app.setNotFoundHandler((request, reply) => {
    throw refusalOf(request, reply);
  });
}

/** A path that the router cannot read: no hook and no error handler runs for it. */
export function answerUnroutable(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const refusal = asAppError(error);
  void reply
    .code(refusal.status)
    .header('x-request-id', request.id)
    .header('cache-control', 'no-store')
    .send(errorBody(refusal, request.id));
}

function noRoute(request: FastifyRequest, path: string): AppError {
  return new AppError(
    'not_found',
    `no route ${request.method} ${JSON.stringify(path.slice(0, 120))}; the contract is at /__admin/docs and /__admin/openapi.yaml`,
  );
}

function wrongMethod(request: FastifyRequest, reply: FastifyReply, methods: string[]): AppError {
  reply.header('allow', methods.join(', '));
  return new AppError(
    'method_not_allowed',
    `${request.method} is not for this path; it takes ${methods.join(', ')}`,
    {
      allow: methods,
    },
  );
}

type Answering = Omit<RepliesOptions, 'allowPages'> & { readonly reply: FastifyReply };

async function answerError(error: unknown, request: FastifyRequest, answering: Answering): Promise<unknown> {
  const { reply, logger, onDamaged } = answering;
  if (error instanceof NoAnswer) return leaveUnanswered(error, request, answering);
  if (error instanceof AnswerInstead) return reply.code(error.status).headers(error.headers).send(error.body);
  const refusal = asAppError(error);
  if (refusal.code === 'upload_damaged') onDamaged(refusal);
  if (refusal.code === 'internal_error')
    logger.error({ reqId: request.id, operation: operationOf(request), err: error }, refusal.code);
  request.errorCode = refusal.code;
  if (ERRORS[refusal.code].retryable && refusal.status >= 429)
    reply.header('retry-after', RETRY_AFTER_SECONDS);
  reply.code(refusal.status).header('cache-control', 'no-store');
  return reply.send(errorBody(refusal, request.id));
}

function leaveUnanswered(
  error: NoAnswer,
  request: FastifyRequest,
  { reply, logger, onAborted }: Answering,
): undefined {
  const operation = operationOf(request);
  logger.info({ reqId: request.id, operation, ...request.facts }, error.message);
  reply.hijack();
  if (!(error instanceof ClientGone)) return;
  onAborted(operation);
  reply.raw.destroy();
}

const FOREIGN: Readonly<Record<string, { code: ErrorCode; message: string }>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: 'unsupported_media_type',
    message: 'this route does not take a body of this Content-Type; send multipart/form-data',
  },
  FST_ERR_BAD_URL: { code: 'invalid_request', message: 'the path has a broken percent-encoding' },
};

function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const foreign = FOREIGN[code];
  if (foreign !== undefined) return new AppError(foreign.code, foreign.message);
  return new AppError(
    'internal_error',
    'the server failed on this request; its log has the details under this requestId',
  );
}
