// core/errors.ts: all refusals of the server in one table: code → status, meaning, retryable.
//
// Promises: no other place in the project decides a status code. openapi.yaml and docs/reference.md hold exactly these
// codes (tests: contract.test.ts, docs/reference.test.ts). The message of an AppError is for a person: it says what was
// received, what was expected and what to do.

interface ErrorSpec {
  readonly status: number;
  /** True when sending the same request again later can succeed without any other change. */
  readonly retryable: boolean;
  /** One sentence for the error table of docs/reference.md and the contract. */
  readonly meaning: string;
}

export const ERRORS = {
  invalid_request: {
    status: 400,
    retryable: false,
    meaning: 'A field is missing or has a wrong value. `details.fields` names each such field.',
  },
  malformed_multipart: {
    status: 400,
    retryable: false,
    meaning:
      'The multipart body has no boundary, is truncated, has bare line feeds, or has a part over its limit.',
  },
  malformed_json: {
    status: 400,
    retryable: false,
    meaning: 'The Content-Type is JSON or urlencoded, but the body cannot be parsed as such.',
  },
  empty_chunk: {
    status: 400,
    retryable: false,
    meaning: 'The chunk has no bytes. Only chunk 0 of 1 (an empty file) may be empty.',
  },
  invalid_matcher: {
    status: 400,
    retryable: false,
    meaning:
      'The matcher, wait or verification is wrong. `details.problems` names each wrong place by its JSON pointer.',
  },
  invalid_rule: {
    status: 400,
    retryable: false,
    meaning: 'The rule is wrong. `details.problems` names each wrong place by its JSON pointer.',
  },
  api_key_missing: {
    status: 401,
    retryable: false,
    meaning: 'The route needs an API key: `X-API-Key: <key>` or `Authorization: Bearer <key>`.',
  },
  api_key_invalid: { status: 401, retryable: false, meaning: 'The server does not know this API key.' },
  admin_token_invalid: {
    status: 401,
    retryable: false,
    meaning: 'The admin plane needs its token: `Authorization: Bearer <admin token>`.',
  },
  admin_origin_forbidden: {
    status: 403,
    retryable: false,
    meaning: 'A page of another origin cannot use the admin plane. `--admin-cors-origin` allows an origin.',
  },
  admin_host_forbidden: {
    status: 403,
    retryable: false,
    meaning:
      'Without a token, the admin plane answers only requests to an IP address, to `localhost` and to the hosts of `--admin-cors-origin`.',
  },
  admin_proxy_forbidden: {
    status: 403,
    retryable: false,
    meaning:
      'Without a token, the admin plane refuses requests through a proxy, because behind a proxy every client looks local.',
  },
  not_found: { status: 404, retryable: false, meaning: 'The route does not exist.' },
  upload_not_found: {
    status: 404,
    retryable: false,
    meaning: 'This key has no upload with this fileId. It was never started, has expired, or was deleted.',
  },
  rule_not_found: { status: 404, retryable: false, meaning: 'No rule with this id is armed for this key.' },
  exchange_not_found: {
    status: 404,
    retryable: false,
    meaning: 'This key has no recorded exchange with this number.',
  },
  journal_off: {
    status: 409,
    retryable: false,
    meaning: 'The server keeps no journal, because it was started with `--no-journal`.',
  },
  media_not_found: { status: 404, retryable: false, meaning: 'This key has no media entry with this id.' },
  method_not_allowed: {
    status: 405,
    retryable: false,
    meaning: 'The path does not have this method. `Allow` lists its methods.',
  },
  request_timeout: {
    status: 408,
    retryable: true,
    meaning: 'No byte of the body arrived for longer than the idle time-out. Nothing was stored.',
  },
  chunk_conflict: {
    status: 409,
    retryable: false,
    meaning: 'This chunk is already stored with other bytes.',
  },
  chunk_out_of_order: {
    status: 409,
    retryable: false,
    meaning: 'The chunk would leave a gap. `details.expectedChunkIndex` is the chunk to send next.',
  },
  chunk_superseded: {
    status: 409,
    retryable: true,
    meaning:
      'The request stalled and a newer request for the same chunk took over, or the upload was deleted or reset during the request.',
  },
  total_chunks_mismatch: {
    status: 409,
    retryable: false,
    meaning: 'The upload was started with another `totalChunks`. `details` has that number.',
  },
  upload_incomplete: {
    status: 409,
    retryable: false,
    meaning: 'The finalise came before the last chunk. `details` says which chunk to send next.',
  },
  already_finalized: {
    status: 409,
    retryable: false,
    meaning: 'This upload is already a media entry, made by another payload or of the other type.',
  },
  upload_too_large: {
    status: 413,
    retryable: false,
    meaning: 'The file would have more bytes than the server allows. Committed chunks stay.',
  },
  body_too_large: {
    status: 413,
    retryable: false,
    meaning: 'The form, JSON or urlencoded body is larger than its limit.',
  },
  unsupported_media_type: {
    status: 415,
    retryable: false,
    meaning: 'This route does not take the content type of the body, or the body has a `Content-Encoding`.',
  },
  unsupported_media: {
    status: 415,
    retryable: false,
    meaning: 'This endpoint does not take this type of file.',
  },
  precondition_failed: {
    status: 412,
    retryable: false,
    meaning:
      'The content is not the one that `If-Match` names. The `ETag` changes with every chunk, and when an upload is started again.',
  },
  range_not_satisfiable: {
    status: 416,
    retryable: false,
    meaning: 'The `Range` is outside the stored bytes.',
  },
  too_many_open_uploads: {
    status: 429,
    retryable: true,
    meaning: 'This key has reached its limit of unfinished uploads.',
  },
  too_many_requests: {
    status: 429,
    retryable: true,
    meaning:
      'This key has reached its limit of requests for this second. `Retry-After` says when to continue.',
  },
  headers_too_large: {
    status: 431,
    retryable: false,
    meaning: 'The request line and headers are larger than the server allows.',
  },
  internal_error: {
    status: 500,
    retryable: true,
    meaning: 'The server has a defect. The log has details under the request id.',
  },
  upload_damaged: {
    status: 500,
    retryable: false,
    meaning: 'The stored data fails its checks. The server keeps it for inspection and does not use it.',
  },
  not_implemented: {
    status: 501,
    retryable: false,
    meaning: 'The server does not know the method or the `Transfer-Encoding`.',
  },
  shutting_down: {
    status: 503,
    retryable: true,
    meaning: 'The server is shutting down. Try again when the server runs again.',
  },
  storage_unavailable: {
    status: 503,
    retryable: true,
    meaning:
      'The data folder is gone, moved, read-only or in use by another process. Nothing was stored. The log says what to do.',
  },
  http_version_not_supported: {
    status: 505,
    retryable: false,
    meaning: 'The version in the request line is neither HTTP/1.1 nor HTTP/1.0.',
  },
  insufficient_storage: {
    status: 507,
    retryable: true,
    meaning: 'The disk is full, or the quota is reached. The upload can continue when there is room.',
  },
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERRORS;

export interface FieldProblem {
  readonly field: string;
  readonly message: string;
}

/** A refusal with a code of the table. Any other error that is thrown is a defect and is answered with `internal_error`. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.code = code;
    this.details = details;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }
}

/**
 * A refusal that leaves a doubt: the operation failed, and undoing it failed too, so its effect may be stored or not. The
 * code that catches this error must forget what it knew of the place, read the place again before the next use, and delete
 * no byte of it in the meantime.
 */
export class InDoubt extends AppError {}

/** The place of a damaged upload or entry: its kind, its namespace and the name of its files. */
export interface DamagedPlace {
  readonly kind: 'uploads' | 'media';
  readonly namespace: string;
  readonly name: string;
}

/** The stored data fails its checks (rules D2, D5). `details` names the place and holds `facts` about the damage. */
export function damage(place: DamagedPlace, message: string, facts: object = {}): AppError {
  const { kind, namespace, name } = place;
  return new AppError('upload_damaged', message, { kind, namespace, name, ...facts });
}

/** An `InDoubt` with this cause. */
export function inDoubt(cause: unknown): InDoubt {
  if (cause instanceof InDoubt) return cause;
  const code = cause instanceof AppError ? cause.code : 'internal_error';
  const message =
    'the server failed on this request and could not undo it, so the request may be stored or not; when the disk works again, ' +
    'ask for the status, or send the request again';
  return Object.assign(new InDoubt(code, message), { cause });
}

/** For a reader of an upload that was deleted and begun again under the same fileId while it was read. */
export function uploadChanged(): AppError {
  return new AppError(
    'upload_not_found',
    'the upload was deleted and started again during this read; read it again from its first byte',
  );
}

/** Whether the stored data failed its checks (rule D2). */
export function isDamage(error: unknown): error is AppError {
  return error instanceof AppError && error.code === 'upload_damaged';
}

/** For a `catch`: damaged data counts as absent, every other error is thrown on. */
export function nullIfDamaged(error: unknown): null {
  if (isDamage(error)) return null;
  throw error;
}

/** A 400 that names all bad fields at once, so that a client can correct them in one step (rules C4, F3). */
export function invalidFields(fields: readonly FieldProblem[]): AppError {
  const summary = fields.map((problem) => `${problem.field}: ${problem.message}`).join('; ');
  return new AppError('invalid_request', summary, { fields });
}
