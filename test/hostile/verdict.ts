// hostile/verdict.ts: which outcomes of a case are permitted.
//
// Promises: only what openapi.yaml, openapi-admin.yaml and errors.ts promise is permitted; each complaint is one sentence.
// Must not know: how the case was made or played.
import { loadContract, type OperationMatch } from '../../src/contract/contract.ts';
import { ERRORS } from '../../src/core/errors.ts';
import { errorSchema } from '../../src/contract/bodies.ts';
import type { RawAnswer } from '../helpers/raw.ts';
import type { HostileCase, Sent } from './hostile-case.ts';

export interface Outcome {
  /** Final ones, in the order in which they came. */
  readonly answers: readonly RawAnswer[];
  /** Bytes that arrived and are not an answer. */
  readonly leftOver: string;
  /** By the server. */
  readonly hasEnded: boolean;
  /** The expected answers and the end did not come in time. */
  readonly isStuck: boolean;
}

const contracts = [loadContract(), loadContract('openapi-admin.yaml')];

/** Internal words of the server that no client sends here. No answer may contain them. */
const INTERNAL =
  /\bat \S+ \(|node:|node_modules|\/(?:tmp|home|root|work|usr|var)\/|\.(?:[cm]?[jt]s):\d|FST_|HPE_|\bERR_|\bE(?:NOENT|ACCES|PERM|EXIST|ISDIR|NOTDIR|NAMETOOLONG|INVAL|IO|MFILE|PIPE)\b|(?:Type|Range|Reference|Assertion|Internal)Error|fastify|llhttp|Zod|prototype of|is not a function|Cannot (?:read|set|convert)|Maximum call stack|heap/;

type Check = readonly [isWrong: boolean, what: string];

const wrong = (...checks: readonly Check[]): string[] =>
  checks.filter(([isWrong]) => isWrong).map(([, what]) => what);

/** What is wrong with the outcome; empty: nothing is. */
export function complaints({ requests, ending }: HostileCase, outcome: Outcome): string[] {
  const { answers, hasEnded, isStuck, leftOver } = outcome;
  const ofAnswers = answers.flatMap((answer, at) => ofAnswer(requests[at], answer));
  const last = answers.findIndex(saysItIsLast);
  const isOver = last !== -1;
  const unanswered = isOver ? [] : requests.slice(answers.length).filter(({ fate }) => fate === 'answered');
  const mustEnd = requests.some(({ fate }) => fate === 'refused');
  const isTorn = ending === 'reset';
  return [
    ...ofAnswers,
    ...wrong(
      [isOver && last < answers.length - 1, 'an answer came behind the one that was to be the last'],
      [isStuck, 'neither the answers that are due nor an end of the connection came'],
      [!isTorn && leftOver !== '', `bytes that are no answer: ${JSON.stringify(leftOver.slice(0, 200))}`],
      [
        !isTorn && unanswered.length > 0,
        `good, and without an answer: ${unanswered.map(({ id }) => id).join()}`,
      ],
      [!isTorn && mustEnd && !hasEnded && !isOver, 'the connection goes on behind what must be refused'],
    ),
  ];
}

function saysItIsLast({ headers }: RawAnswer): boolean {
  return headers['connection'] === 'close' || headers['x-request-id'] === undefined;
}

function ofAnswer(request: Sent | undefined, answer: RawAnswer): string[] {
  const { status, headers } = answer;
  if (!Number.isInteger(status)) return [`no status line: ${JSON.stringify(answer)}`];
  const id = headers['x-request-id'];
  if (request === undefined) return [`an answer (${status}, ${id}) that nobody asked for`];
  if (id === undefined) return ofConnectionRefusal(request, answer);
  if (!isIdOf(request, id)) return [`${request.id} was to be answered, and ${id} was (${status})`];
  const found = wrong(
    [request.fate === 'never', `${id} is no request, and was answered ${status}`],
    [request.fate === 'refused' && status < 400, `${id} must be refused, and was answered ${status}`],
  );
  return found.length > 0 ? found : ofStatus(request, answer).map((what) => `${id}: ${what}`);
}

/** A head that is cut off or cannot be read may have lost the client's id; then the server makes one up. */
function isIdOf(request: Sent, id: string): boolean {
  if (request.id === null || id === request.id) return true;
  return (request.fate === 'either' || request.fate === 'refused') && !/^c\d+-\d+$/.test(id);
}

/** Errors of a connection, before there is a request (http/connection/client-errors.ts). */
const CONNECTION_REFUSALS = [
  '400 invalid_request',
  '408 request_timeout',
  '431 headers_too_large',
  '501 not_implemented',
];

/** It has no request id, because the server does not know which request it belongs to. */
function ofConnectionRefusal({ id, fate }: Sent, answer: RawAnswer): string[] {
  const { status, headers, text } = answer;
  const { code, requestId } = envelopeOf(text) ?? {};
  return [
    ...ofEnvelope(answer),
    ...wrong(
      [fate === 'answered', `${id} is good, and the connection was refused instead (${status})`],
      [fate === 'never', `a refusal (${status}) behind a refusal`],
      [!CONNECTION_REFUSALS.includes(`${status} ${code}`), `${status} ${code} is no refusal of a connection`],
      [requestId !== 'none', `a refusal of a connection names the request ${requestId}`],
      [headers['connection'] !== 'close', 'a refusal of a connection does not say that it is the last'],
    ),
  ];
}

function ofStatus(request: Sent, answer: RawAnswer): string[] {
  const { status, headers, text } = answer;
  if (isDefect(status)) return [`${status}: ${text.slice(0, 300)}`];
  if (request.method === 'HEAD' || status === 204) return wrong([text !== '', 'a body where there is none']);
  const found = [
    ...(isJson(answer) ? wrong([INTERNAL.test(text), `says what is inside: ${text.slice(0, 500)}`]) : []),
    ...(status >= 400 && !isVerdict(answer) ? ofEnvelope(answer) : []),
  ];
  if (isOfEveryPath(request, answer)) return found;
  const match = operationOf(request);
  if (match === null) return [...found, `${status} is not promised here: ${text.slice(0, 200)}`];
  const { contract, operation } = match;
  const contentType = headers['content-type'] ?? '';
  const facts = { operationId: operation.operationId, status, contentType, headers, body: text };
  return [...found, ...contract.checkResponse(facts)];
}

/**
 * Even where it is promised, hostile bytes must not cause it. Exceptions: no room, or a feature of HTTP that the server does not
 * know.
 */
function isDefect(status: number): boolean {
  return status >= 500 && ![501, 505, 507].includes(status);
}

/** For `POST requests/wait` and `POST verify`: this is not an error, and their operations describe it. */
function isVerdict({ status, text }: RawAnswer): boolean {
  return (status === 408 && text.startsWith('{"timedOut"')) || (status === 409 && text.startsWith('{"pass"'));
}

function ofEnvelope({ status, headers, text }: RawAnswer): string[] {
  const envelope = envelopeOf(text);
  if (envelope === null) return [`${status} without the envelope: ${text.slice(0, 300)}`];
  const { code, requestId } = envelope;
  const known = Object.entries(ERRORS).some(([name, spec]) => name === code && spec.status === status);
  const id = headers['x-request-id'] ?? requestId;
  const type = headers['content-type'];
  return wrong(
    [INTERNAL.test(text), `says what is inside: ${text.slice(0, 500)}`],
    [!known, `${code} is no code of ${status}`],
    [id !== requestId, `the answer to ${id} says that it is of ${requestId}`],
    [type !== 'application/json; charset=utf-8', `an error as ${type}`],
  );
}

/** What openapi.yaml promises "on every path"; the latter where there is no such operation. */
const OF_EVERY_PATH = ['431 headers_too_large', '501 not_implemented', '505 http_version_not_supported'];
const OF_NO_OPERATION = ['404 not_found', '405 method_not_allowed'];

function isOfEveryPath(request: Sent, { status, text }: RawAnswer): boolean {
  const { code, fields } = envelopeOf(text) ?? {};
  const refusal = `${status} ${code}`;
  if (refusal === '400 invalid_request') return fields === '' || fields === 'path';
  if (OF_EVERY_PATH.includes(refusal)) return true;
  return OF_NO_OPERATION.includes(refusal) && operationOf(request) === null;
}

type Match = OperationMatch & { readonly contract: (typeof contracts)[number] };

/** The path as a router reads it: the path of an absolute target, with percent-encoded letters decoded. */
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

/** `fields`: the names of those that are wrong, with commas. */
function envelopeOf(text: string): { code: string; requestId: string; fields: string } | null {
  const parsed = errorSchema.safeParse(jsonOf(text));
  if (!parsed.success) return null;
  const { error: code, details, requestId } = parsed.data;
  const { fields = [] } = details as { fields?: readonly { field: string }[] };
  return { code, requestId, fields: fields.map(({ field }) => field).join() };
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
