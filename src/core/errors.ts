// core/errors.ts: every refusal the server can give, in one table: code → status, meaning, retryable.
//
// Promises: nothing else in the project decides a status code; openapi.yaml and docs/reference.md hold
// exactly these codes (tests: contract.test.ts, docs/reference.test.ts). An AppError's message is for a person:
// what was got, what was expected, what to do.
// Must not know: HTTP, uploads or storage. It is a leaf and imports nothing of ours.

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
    meaning: 'A field is missing or has a wrong value; `details.fields` names each one.',
  },
  malformed_multipart: {
    status: 400,
    retryable: false,
    meaning:
      'The multipart body is broken: no boundary, truncated, bare line feeds, or a part over its limits.',
  },
  malformed_json: {
    status: 400,
    retryable: false,
    meaning: 'The body says JSON or urlencoded but cannot be parsed as such.',
  },
  empty_chunk: {
    status: 400,
    retryable: false,
    meaning: 'A chunk without bytes; only chunk 0 of 1 (an empty file) may be empty.',
  },
  invalid_matcher: {
    status: 400,
    retryable: false,
    meaning:
      'A journal matcher, a wait or a verification cannot be used; `details.problems` names each place by its JSON pointer.',
  },
  invalid_rule: {
    status: 400,
    retryable: false,
    meaning: 'A rule cannot be used; `details.problems` names each place by its JSON pointer.',
  },
  api_key_missing: {
    status: 401,
    retryable: false,
    meaning: 'The route needs an API key: `X-API-Key: <key>` or `Authorization: Bearer <key>`.',
  },
  api_key_invalid: { status: 401, retryable: false, meaning: 'The API key is not one of those configured.' },
  admin_token_invalid: {
    status: 401,
    retryable: false,
    meaning: 'The admin plane needs its token: `Authorization: Bearer <admin token>`.',
  },
  admin_origin_forbidden: {
    status: 403,
    retryable: false,
    meaning:
      'A page of another origin may not change anything through the admin plane; see `--admin-cors-origin`.',
  },
  admin_host_forbidden: {
    status: 403,
    retryable: false,
    meaning:
      'The admin plane without a token answers to an IP address, `localhost` and the hosts of `--admin-cors-origin`, and to no other name.',
  },
  admin_proxy_forbidden: {
    status: 403,
    retryable: false,
    meaning:
      'The admin plane without a token does not answer a request that came through a proxy: to it everybody looks local.',
  },
  not_found: { status: 404, retryable: false, meaning: 'No such route.' },
  upload_not_found: {
    status: 404,
    retryable: false,
    meaning: 'No upload with this fileId for this key: never started, expired, or deleted.',
  },
  rule_not_found: { status: 404, retryable: false, meaning: 'No rule with this id is armed for this key.' },
  exchange_not_found: {
    status: 404,
    retryable: false,
    meaning: 'No exchange with this number is on record for this key.',
  },
  journal_off: { status: 409, retryable: false, meaning: 'The server was started with `--no-journal`.' },
  media_not_found: { status: 404, retryable: false, meaning: 'No media entry with this id for this key.' },
  method_not_allowed: {
    status: 405,
    retryable: false,
    meaning: 'The path exists, the method does not; `Allow` lists those that do.',
  },
  request_timeout: {
    status: 408,
    retryable: true,
    meaning: 'The body went silent for longer than the idle time-out; nothing of it was stored.',
  },
  chunk_conflict: {
    status: 409,
    retryable: false,
    meaning: 'This chunk is stored already, with other bytes.',
  },
  chunk_out_of_order: {
    status: 409,
    retryable: false,
    meaning: 'A gap: `details.expectedChunkIndex` is the chunk to send next.',
  },
  chunk_superseded: {
    status: 409,
    retryable: true,
    meaning:
      'This request stalled and a newer one for the same chunk took its place, or its upload was deleted or reset meanwhile.',
  },
  total_chunks_mismatch: {
    status: 409,
    retryable: false,
    meaning: 'The upload was started with another `totalChunks`, named in `details`.',
  },
  upload_incomplete: {
    status: 409,
    retryable: false,
    meaning: 'Finalise came before every chunk was stored; `details` says where to go on.',
  },
  already_finalized: {
    status: 409,
    retryable: false,
    meaning: 'This upload became a media entry already, from another payload or of the other type.',
  },
  upload_too_large: {
    status: 413,
    retryable: false,
    meaning: 'More bytes than one file may have; committed chunks are kept.',
  },
  body_too_large: {
    status: 413,
    retryable: false,
    meaning: 'A form, JSON or urlencoded body beyond its limit.',
  },
  unsupported_media_type: {
    status: 415,
    retryable: false,
    meaning: 'The body has a content type that this route does not take, or a `Content-Encoding`.',
  },
  unsupported_media: {
    status: 415,
    retryable: false,
    meaning: 'The file is not of a kind that this endpoint takes.',
  },
  precondition_failed: {
    status: 412,
    retryable: false,
    meaning:
      'Another content is stored than the one that `If-Match` names; its `ETag` changes with every chunk and every beginning.',
  },
  range_not_satisfiable: {
    status: 416,
    retryable: false,
    meaning: 'The `Range` asked for lies outside the stored bytes.',
  },
  too_many_open_uploads: {
    status: 429,
    retryable: true,
    meaning: 'This key has as many unfinished uploads as it may have.',
  },
  too_many_requests: {
    status: 429,
    retryable: true,
    meaning:
      'This key made as many requests in this second as it may make; `Retry-After` says when to go on.',
  },
  headers_too_large: {
    status: 431,
    retryable: false,
    meaning: 'The request line and headers are larger than the server reads.',
  },
  internal_error: {
    status: 500,
    retryable: true,
    meaning: 'A defect of this server; the log has the request id.',
  },
  upload_damaged: {
    status: 500,
    retryable: false,
    meaning: 'The stored upload fails its checks; it is set aside, nothing was dropped silently.',
  },
  not_implemented: {
    status: 501,
    retryable: false,
    meaning: 'A method or a `Transfer-Encoding` that this server does not know.',
  },
  shutting_down: {
    status: 503,
    retryable: true,
    meaning: 'The server is ending; try again when it is back.',
  },
  storage_unavailable: {
    status: 503,
    retryable: true,
    meaning:
      'The data folder is gone, moved, read-only or another process’s; nothing was stored, and the log says what to do.',
  },
  http_version_not_supported: {
    status: 505,
    retryable: false,
    meaning: 'The request line names another version than HTTP/1.1 or HTTP/1.0.',
  },
  insufficient_storage: {
    status: 507,
    retryable: true,
    meaning: 'The disk is full or the configured quota reached; the upload goes on when there is room.',
  },
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERRORS;

export interface FieldProblem {
  readonly field: string;
  readonly message: string;
}

/** A refusal with a code of the table. Everything else that is thrown is a defect and answers `internal_error`. */
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
 * A refusal of something that may be stored all the same: it failed, and so did undoing it. Whoever gets it relies on nothing
 * that was known of the place, reads it anew before the next use, and removes no byte of it meanwhile.
 */
export class InDoubt extends AppError {}

/** Where a damaged upload or entry lies: its kind, its namespace, the name of its files. */
export interface DamagedPlace {
  readonly kind: 'uploads' | 'media';
  readonly namespace: string;
  readonly name: string;
}

/** What is stored fails its checks (rules D2, D5). `details` names the place, and what `facts` say is wrong with it. */
export function damage(place: DamagedPlace, message: string, facts: object = {}): AppError {
  const { kind, namespace, name } = place;
  return new AppError('upload_damaged', message, { kind, namespace, name, ...facts });
}

/** As `InDoubt`, of what failed for this reason. */
export function inDoubt(cause: unknown): InDoubt {
  if (cause instanceof InDoubt) return cause;
  const code = cause instanceof AppError ? cause.code : 'internal_error';
  const message =
    'the server could not do this, and could not undo what it had done of it: whether it is stored will be known when its disk ' +
    'works again; ask for the status, or send it again';
  return Object.assign(new InDoubt(code, message), { cause });
}

/** For whoever reads an upload that was deleted meanwhile, and begun anew under its fileId. */
export function uploadChanged(): AppError {
  return new AppError(
    'upload_not_found',
    'what was being read was deleted meanwhile, and begun anew; ask once more for what is there now',
  );
}

/** What is stored fails its checks (rule D2). */
export function isDamage(error: unknown): error is AppError {
  return error instanceof AppError && error.code === 'upload_damaged';
}

/** For a `catch`: what is damaged counts as nothing, every other error goes on. */
export function nullIfDamaged(error: unknown): null {
  if (isDamage(error)) return null;
  throw error;
}

/** A 400 that names every bad field at once, so that a client mends them in one go (rule C4, F3). */
export function invalidFields(fields: readonly FieldProblem[]): AppError {
  const summary = fields.map((problem) => `${problem.field}: ${problem.message}`).join('; ');
  return new AppError('invalid_request', summary, { fields });
}
