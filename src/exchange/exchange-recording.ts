// exchange/exchange-recording.ts: what a request says before anything of its body is read, what its answer tells the client, and
// what either side broke of openapi.yaml, put down in a recording.
//
// Promises: of a body that was not read to its end, nothing is said.
// Must not know: how an exchange is observed, where its recording goes.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Contract } from '../contract/contract.ts';
import { isMultipart, operationOf } from '../http/exchange.ts';
import type { Subject } from '../contract/operations.ts';
import type { DeferredChange, Stored } from '../http/observer.ts';
import { uploadStatusIn } from '../contract/bodies.ts';
import { monotonicMs } from '../core/machine-time.ts';
import { toldOf } from '../faults/holding.ts';
import { isCutting } from '../faults/injection.ts';
import type { Claim } from '../faults/rule-armed.ts';
import type { Connection, Exchange } from '../journal/exchange.ts';
import { Recording } from '../journal/recording.ts';

/** @param subject as far as the URL says it */
export function beginRecording(request: FastifyRequest, connection: Connection, subject: Subject): Recording {
  const { begun, method, url: path, id: requestId, headers } = request;
  const length = headers['content-length'];
  const declaredBytes = length === undefined ? null : Number(length);
  const operation = operationOf(request);
  const recording = new Recording({
    requestId,
    begun,
    connection,
    operation,
    method,
    path,
    declaredBytes,
    now: monotonicMs,
  });
  const { fileId } = subject;
  if (fileId !== undefined) recording.upload = { fileId, chunkIndex: null, attempt: null };
  return recording;
}

/** Of what was begun to be answered. @param bytes of its body */
export function responseOf(
  { errorCode }: FastifyRequest,
  { statusCode: status }: FastifyReply,
  bytes: number,
): NonNullable<Exchange['response']> {
  return errorCode === '' ? { status, bytes } : { status, errorCode, bytes };
}

/** A fault acts. @param recording null: there is none */
export function recordFault(recording: Recording | null, claim: Claim): NonNullable<Exchange['fault']> {
  const fired = toldOf(claim);
  if (recording === null) return fired;
  const { phase, effect, atByte } = fired;
  recording.fault = fired;
  // However much had to be read to know that this request is meant: it is as if nothing had.
  if (phase === 'headers' && isCutting(effect)) recording.nothingCame();
  if (phase === 'body' && isCutting(effect)) recording.cutAt(atByte);
  return fired;
}

/** Tells of what the change stored when it is made. */
export function deferredTelling(change: DeferredChange, tell: (stored: Stored) => Stored): DeferredChange {
  const run = async (): Promise<Stored | null> => {
    const stored = await change.run();
    return stored && tell(stored);
  };
  return { run, drop: () => change.drop() };
}

export interface Answered {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly answer: string;
  /** Whether the body had been read to its end when the answer was made. */
  readonly isBodyWhole: boolean;
}

/** An answer that a fault made is none of the contract's, but it is what the client is told. */
export function recordAnswer(recording: Recording, answered: Answered, contract: () => Contract): void {
  const { request, reply, answer } = answered;
  const { operationId } = request.routeOptions.config;
  const isStatus = request.method === 'GET' && operationId === 'getUploadStatus';
  if (isStatus && reply.statusCode === 200) recording.told = uploadStatusIn(answer);
  if (recording.fault !== null || operationId === undefined) return;
  const inRequest = answered.isBodyWhole
    ? requestViolations(operationId, { request, recording }, contract())
    : [];
  const inResponse = responseViolations(operationId, answered, contract());
  if (inRequest.length + inResponse.length > 0)
    recording.contract = { request: inRequest, response: inResponse };
}

function responseViolations(operationId: string, { reply, answer }: Answered, contract: Contract): string[] {
  const { statusCode: status } = reply;
  const contentType = reply.getHeader('content-type');
  const type = typeof contentType === 'string' ? contentType : undefined;
  return contract.checkResponse({ operationId, status, contentType: type, body: answer });
}

function requestViolations(
  operationId: string,
  { request, recording }: { readonly request: FastifyRequest; readonly recording: Recording },
  contract: Contract,
): string[] {
  const { headers, query, body } = request;
  const contentType = headers['content-type'];
  const parts = isMultipart(contentType ?? '') ? recording.body().parts : undefined;
  const fields = parts?.map(({ name, value }) => (value === undefined ? { name } : { name, value }));
  const sent = fields === undefined ? { body } : { fields };
  const queried = query as Readonly<Record<string, unknown>>;
  return contract.checkRequest({ operationId, query: queried, headers, contentType, ...sent });
}
