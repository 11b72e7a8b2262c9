// hostile/verdict.ts: what may come of a case, and what must not.
//
// Promises: only what openapi.yaml, openapi-admin.yaml and errors.ts say is let pass; each complaint is one sentence.
// Must not know: how the case was made or played.
import { loadContract, type OperationMatch } from '../../src/contract.ts';
import { ERRORS } from '../../src/errors.ts';
import { errorSchema } from '../../src/http/schemas.ts';
import type { RawAnswer } from '../helpers/raw.ts';
import type { HostileCase, Sent } from './hostile-case.ts';

export interface Outcome {
  /** Final ones, in the order in which they came. */
  readonly answers: readonly RawAnswer[];
  /** What came and is no answer. */
  readonly leftOver: string;
  /** By the server. */
  readonly hasEnded: boolean;
  /** Neither the answers that are due nor an end came in time. */
  readonly isStuck: boolean;
}

const contracts = [loadContract(), loadContract('openapi-admin.yaml')];

/** Words of the server's inside that no client sends here: none may be in an answer. */
const INTERNAL =
  /\bat \S+ \(|node:|node_modules|\/(?:tmp|home|root|work|usr|var)\/|\.(?:[cm]?[jt]s):\d|FST_|HPE_|\bERR_|\bE(?:NOENT|ACCES|PERM|EXIST|ISDIR|NOTDIR|NAMETOOLONG|INVAL|IO|MFILE|PIPE)\b|(?:Type|Range|Reference|Assertion|Internal)Error|fastify|llhttp|Zod|prototype of|is not a function|Cannot (?:read|set|convert)|Maximum call stack|heap/;

/** What is wrong with the outcome; empty: nothing is. */
export function complaints({ requests, ending }: HostileCase, outcome: Outcome): string[] {
  const { answers, hasEnded, isStuck, leftOver } = outcome;
  const found: string[] = [];
  let at = 0;
  let isOver = false;
  for (const answer of answers) {
    if (isOver) found.push(`an answer (${answer.status}) came behind the one that was to be the last`);
    const request = requests[at];
    found.push(...ofAnswer(request, answer));
    // A refusal of the connection itself has no request id: nobody knows whose it is.
    if (answer.headers['x-request-id'] === undefined) isOver = true;
    if (answer.headers['connection'] === 'close') isOver = true;
    at += 1;
  }
  if (isStuck) found.push('neither the answers that are due nor an end of the connection came');
  if (leftOver !== '' && ending !== 'reset')
    found.push(`bytes that are no answer: ${JSON.stringify(leftOver.slice(0, 200))}`);
  if (ending === 'reset') return found;
  const unanswered = isOver ? [] : requests.slice(at).filter(({ fate }) => fate === 'answered');
  found.push(...unanswered.map(({ id }) => `${id} is good and got no answer`));
  const isRefused = requests.some(({ fate }) => fate === 'refused');
  if (isRefused && !hasEnded && !isOver)
    found.push('the connection goes on behind a request that must be refused');
  return found;
}

function ofAnswer(request: Sent | undefined, answer: RawAnswer): string[] {
  const { status, headers } = answer;
  if (!Number.isInteger(status)) return [`no status line: ${JSON.stringify(answer)}`];
  const id = headers['x-request-id'];
  if (id === undefined) return ofConnectionRefusal(request, answer);
  if (request === undefined) return [`an answer (${status}, ${id}) that nobody asked for`];
  // A head that is cut off, or cannot be read to its end, has no id of the client's; the server makes one up.
  const isOwn =
    request.id === null ||
    id === request.id ||
    request.fate === 'either' ||
    (request.fate === 'refused' && !id.startsWith('c'));
  if (!isOwn) return [`${request.id} was to be answered, and ${id} was (${status})`];
  if (request.fate === 'never') return [`${id} is no request, and was answered ${status}`];
  if (request.fate === 'refused' && status < 400)
    return [`${id} must be refused, and was answered ${status}`];
  return ofStatus(request, answer).map((what) => `${id}: ${what}`);
}

/** Before there is a request (http/replies.ts). */
function ofConnectionRefusal(request: Sent | undefined, answer: RawAnswer): string[] {
  const { status, headers, text } = answer;
  if (request?.fate === 'answered')
    return [`${request.id} is good, and the connection was refused instead (${status})`];
  if (request?.fate === 'never') return [`a refusal (${status}) behind a refusal`];
  if (request === undefined) return [`a refusal of the connection (${status}) behind all answers`];
  const found = ofEnvelope(answer);
  const { code, requestId } = envelopeOf(text) ?? {};
  const isPromised =
    (status === 400 && code === 'invalid_request') ||
    (status === 408 && code === 'request_timeout') ||
    (status === 431 && code === 'headers_too_large');
  if (!isPromised) found.push(`${status} ${code} is no refusal of a connection`);
  if (requestId !== 'none') found.push(`a refusal of a connection names the request ${requestId}`);
  if (headers['connection'] !== 'close')
    found.push('a refusal of a connection does not say that it is the last');
  return found;
}

function ofStatus(request: Sent, answer: RawAnswer): string[] {
  const { status, headers, text } = answer;
  if (status >= 500 && status !== 507) return [`${status}: ${text.slice(0, 300)}`];
  const found = INTERNAL.test(text) && isJson(answer) ? [`says what is inside: ${text.slice(0, 500)}`] : [];
  const isHead = request.method === 'HEAD';
  if (isHead || status === 204) return [...found, ...(text === '' ? [] : ['a body where there is none'])];
  if (status >= 400) found.push(...ofEnvelope(answer));
  if (isOfEveryPath(request, answer)) return found;
  const match = operationOf(request);
  if (match === null)
    return [
      ...found,
      `${status} is not promised for ${request.method} ${request.target.slice(0, 80)}: ${text.slice(0, 200)}`,
    ];
  const { contract, operation } = match;
  const { operationId } = operation;
  const contentType = headers['content-type'] ?? '';
  return [...found, ...contract.checkResponse({ operationId, status, contentType, headers, body: text })];
}

function ofEnvelope({ status, headers, text }: RawAnswer): string[] {
  if (status === 408 && text.startsWith('{"timedOut"')) return []; // Of POST requests/wait: its operation says more.
  if (status === 409 && text.startsWith('{"pass"')) return []; // Of POST verify.
  const parsed = errorSchema.safeParse(jsonOf(text));
  if (!parsed.success) return [`${status} without the envelope: ${text.slice(0, 300)}`];
  const { error, requestId } = parsed.data;
  const found = INTERNAL.test(text) ? [`says what is inside: ${text.slice(0, 500)}`] : [];
  const known = Object.hasOwn(ERRORS, error.code) ? ERRORS[error.code as keyof typeof ERRORS] : null;
  if (known?.status !== status) found.push(`${error.code} is no code of ${status}`);
  const id = headers['x-request-id'];
  if (id !== undefined && id !== requestId) found.push(`the answer to ${id} says that it is of ${requestId}`);
  if (headers['content-type'] !== 'application/json; charset=utf-8')
    found.push(`an error as ${headers['content-type']}`);
  return found;
}

/** What openapi.yaml promises "on every path". */
function isOfEveryPath(request: Sent, { status, text }: RawAnswer): boolean {
  const { code, hasFields } = envelopeOf(text) ?? {};
  if (status === 400) return code === 'invalid_request' && hasFields === false;
  if (status === 431) return code === 'headers_too_large';
  const isOperation = operationOf(request) !== null;
  return (
    !isOperation &&
    ((status === 404 && code === 'not_found') || (status === 405 && code === 'method_not_allowed'))
  );
}

type Match = OperationMatch & { readonly contract: (typeof contracts)[number] };

/** As a router reads it: the path of an absolute target, percent-encoded letters decoded. */
function operationOf({ method, target }: Sent): Match | null {
  const path = target.replace(/^https?:\/\/[^/]*/i, '');
  const [bare = ''] = path.split(/[?#]/, 1);
  for (const one of [path, decoded(bare)]) {
    for (const contract of contracts) {
      const match = contract.match(method, one);
      if (match !== null) return { ...match, contract };
    }
  }
  return null;
}

function decoded(path: string): string {
  try {
    return decodeURI(path);
  } catch {
    return path;
  }
}

function envelopeOf(text: string): { code: string; requestId: string; hasFields: boolean } | null {
  const parsed = errorSchema.safeParse(jsonOf(text));
  if (!parsed.success) return null;
  const { error, requestId } = parsed.data;
  return { code: error.code, requestId, hasFields: 'fields' in error.details };
}

function isJson({ headers }: RawAnswer): boolean {
  return headers['content-type']?.includes('json') === true;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
