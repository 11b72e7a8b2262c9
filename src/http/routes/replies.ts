// http/routes/replies.ts: turns every error into one envelope by one table (core/errors.ts).
//
// Promises: a refusal keeps its code and status. Errors of libraries are mapped only here. An unexpected error answers
// `internal_error`; its text goes only to the log. A client that left gets no answer.
// Must not know: what routes do.
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { AppError, ERRORS, type ErrorCode } from '../../core/errors.ts';
import { ClientGone } from '../connection/body-feed.ts';
import { operationOf } from '../exchange.ts';
import { AnswerInstead, NoAnswer } from '../observer.ts';
import { errorBody } from '../../contract/bodies.ts';
import type { ServedPaths } from '../connection/served.ts';

/** Seconds after which a client should retry a retryable refusal. */
const RETRY_AFTER_SECONDS = 1;

export interface RepliesOptions {
  readonly logger: Logger;
  readonly onAborted: (operation: string) => void;
  /** Called when an upload or entry is damaged. The callee reports each damage once, not with each request. */
  readonly onDamaged: (error: AppError) => void;
  readonly served: ServedPaths;
  /** The URL of the contract's docs; null: the admin plane is off. */
  readonly contractAt: () => string | null;
  /** Adds the CORS headers where no route adds them. */
  readonly allowPages: (request: FastifyRequest, reply: FastifyReply) => void;
}

export function installReplies(app: FastifyInstance, options: RepliesOptions): void {
  app.setErrorHandler((error: FastifyError, request, reply) =>
    answerError(error, request, { reply, ...options }),
  );
  const { served, contractAt, allowPages: allow } = options;
  const refusalOf = (request: FastifyRequest, reply: FastifyReply): AppError => {
    allow(request, reply);
    const path = pathOf(request);
    const methods = served.methodsOf(path);
    return methods.length === 0 ? noRoute(request, contractAt()) : wrongMethod(request, reply, methods);
  };
  // Runs before the body is read: the body must not decide how a missing route is refused.
  app.addHook('preParsing', (request, reply, _payload, done) => {
    const hasParameter = request.routeOptions.url?.includes(':') === true;
    const isMissing = request.is404 || (hasParameter && served.isShadowed(pathOf(request), request.method));
    done(isMissing ? refusalOf(request, reply) : null);
  });
  app.setNotFoundHandler((request, reply) => {
    throw refusalOf(request, reply);
  });
}

/** Answers a path that the router cannot decode. No hook and no error handler runs for such a path. */
export function answerUnroutable(
  { allowPages: allow }: Pick<RepliesOptions, 'allowPages'>,
  { error, request, reply }: { error: FastifyError; request: FastifyRequest; reply: FastifyReply },
): void {
  const refusal = asAppError(error);
  allow(request, reply);
  void reply
    .code(refusal.status)
    .header('x-request-id', request.id)
    .header('cache-control', 'no-store')
    .send(errorBody(refusal, request.id));
}

function pathOf({ url }: FastifyRequest): string {
  const [path = ''] = url.split('?', 1);
  return path.startsWith('/') || !URL.canParse(path) ? path : new URL(path).pathname; // RFC 9112 §3.2.2: absolute-form.
}

function noRoute(request: FastifyRequest, contractAt: string | null): AppError {
  const where =
    contractAt === null
      ? 'the docs are on the admin plane, which is off: give the server an --admin-token or an --admin-port'
      : `the contract is at ${contractAt}/docs and ${contractAt}/openapi.yaml`;
  return new AppError(
    'not_found',
    `no route ${request.method} ${JSON.stringify(pathOf(request).slice(0, 120))}; ${where}`,
  );
}

function wrongMethod(request: FastifyRequest, reply: FastifyReply, methods: readonly string[]): AppError {
  reply.header('allow', methods.join(', '));
  return new AppError(
    'method_not_allowed',
    `this path does not have the method ${request.method}; use ${methods.join(', ')}`,
    { allow: methods },
  );
}

type Answering = Pick<RepliesOptions, 'logger' | 'onAborted' | 'onDamaged'> & {
  readonly reply: FastifyReply;
};

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
  const challenge = CHALLENGES[refusal.code];
  if (challenge !== undefined) reply.header('www-authenticate', challenge);
  reply.code(refusal.status).header('cache-control', 'no-store');
  return reply.send(errorBody(refusal, request.id));
}

/**
 * RFC 9110 §15.5.2 requires a challenge with each 401; RFC 6750 §3 names a wrong token. Browsers show no password prompt for
 * these.
 */
const CHALLENGES: Readonly<Partial<Record<ErrorCode, string>>> = {
  api_key_missing: 'Bearer realm="xenonflare"',
  api_key_invalid: 'Bearer realm="xenonflare", error="invalid_token"',
  admin_token_invalid: 'Bearer realm="xenonflare-mock admin"',
};

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

interface Foreign {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

const BROKEN_PATH = 'the path has a broken percent-encoding';

const FOREIGN: Readonly<Record<string, Foreign>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: 'unsupported_media_type',
    message: 'this route does not take a body of this Content-Type; send multipart/form-data',
  },
  FST_ERR_BAD_URL: {
    code: 'invalid_request',
    message: BROKEN_PATH,
    details: { fields: [{ field: 'path', message: BROKEN_PATH }] },
  },
};

function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const foreign = FOREIGN[code];
  if (foreign !== undefined) return new AppError(foreign.code, foreign.message, foreign.details);
  return new AppError(
    'internal_error',
    'the server failed on this request; its log has details under this requestId',
  );
}

export function shuttingDown(): AppError {
  return new AppError(
    'shutting_down',
    'the server is shutting down; nothing of this request was stored, send it again when the server runs again',
  );
}
