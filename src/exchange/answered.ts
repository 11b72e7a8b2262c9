// exchange/answered.ts: records the answer that the client gets, and where the request or the answer broke openapi.yaml.
//
// Promises: a body that was not read to its end is not checked.
// Must not know: how an exchange is observed, where its recording goes.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Contract } from '../contract/contract.ts';
import { isMultipart } from '../http/exchange.ts';
import { uploadStatusIn } from '../contract/bodies.ts';
import type { Exchange } from '../journal/exchange.ts';
import type { Recording } from '../journal/recording.ts';

/** The response as far as it was begun. @param bytes bytes of its body */
export function responseOf(
  { errorCode }: FastifyRequest,
  { statusCode: status }: FastifyReply,
  bytes: number,
): NonNullable<Exchange['response']> {
  return errorCode === '' ? { status, bytes } : { status, errorCode, bytes };
}

export interface Answered {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly answer: string;
  /** Whether the body had been read to its end when the answer was made. */
  readonly isBodyWhole: boolean;
}

/** An answer that a fault made is not an answer of the contract, but the client gets it, so it is recorded. */
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
