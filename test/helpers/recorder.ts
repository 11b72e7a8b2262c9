// helpers/recorder.ts: checks every exchange of a server against openapi.yaml or openapi-admin.yaml, in both directions.
//
// Promises: it sees what Node really received and what was really handed to the socket, and changes neither. An answer must follow
// the contract. A request that was answered with success must have followed it, too. Two kinds of exchange are not checked: those
// that a fault rule touched (`X-Mock-Fault`), and those that are not valid HTTP/1.1, which are refused on every path in the same
// way. Bodies beyond MAX_BODY_BYTES are not kept, so their content is not checked.
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import {
  loadContract,
  type Contract,
  type OperationMatch,
  type RequestFacts,
} from '../../src/contract/contract.ts';
import { whyUnclear } from '../../src/http/connection/host-and-expect.ts';
import { recordExchange } from './contract-coverage.ts';
import { partsIn } from './multipart.ts';

const MAX_BODY_BYTES = 8 * 1024 * 1024;

export interface Recorder {
  /** What broke the contract, one sentence each. */
  readonly violations: string[];
  observe(app: FastifyInstance): void;
}

export function createRecorder(): Recorder {
  const violations: string[] = [];
  const contracts = [loadContract(), loadContract('openapi-admin.yaml')];
  return {
    violations,
    observe: (app) => {
      // An operation that this port does not serve is ignored here.
      const served = new Set<string>();
      app.addHook('onRoute', ({ method, url }) => {
        for (const one of [method].flat()) served.add(`${one} ${url}`);
      });
      // This listener runs before Fastify's own, so it sees request and response before Fastify changes them.
      app.server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
        if (whyUnclear(request) !== null) return;
        const url = readable(request.url);
        const [found] = contracts.flatMap((contract) => {
          const match = contract.match(request.method ?? '', url);
          return match !== null && served.has(routeOf(match)) ? [{ contract, ...match }] : [];
        });
        if (found === undefined) return;
        const { contract, operation } = found;
        const { operationId } = operation;
        const received = keepBody(request);
        onAnswer(response, (answer) => {
          if (answer.headers['x-mock-fault'] !== undefined) return;
          violations.push(...record({ operationId, request, received: received(), answer }, contract));
        });
      });
    },
  };
}

function routeOf({ operation: { method, path }, prefix }: OperationMatch): string {
  return `${method} ${prefix === '/' ? '' : prefix}${path.replaceAll(/\{(\w+)\}/g, ':$1')}`;
}

/** The body is taken where Node's parser hands it over, so the stream needs no listener. */
function keepBody(request: IncomingMessage): () => Buffer | null {
  const pieces: Buffer[] = [];
  let bytes = 0;
  const push = request.push.bind(request);
  request.push = (piece: Buffer | null) => {
    bytes += piece?.length ?? 0;
    if (piece !== null && bytes <= MAX_BODY_BYTES) pieces.push(Buffer.from(piece));
    return push(piece);
  };
  return () => (bytes > MAX_BODY_BYTES ? null : Buffer.concat(pieces));
}

interface Sent {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  /** Null: too large to keep. */
  readonly body: string | null;
}

/**
 * Calls back once, when everything that Content-Length promised has been handed over. An answer that was cut short never gets
 * there.
 */
function onAnswer(response: ServerResponse, whenWhole: (answer: Sent) => void): void {
  const pieces: Buffer[] = [];
  const headers: OutgoingHttpHeaders = {};
  let bytes = 0;
  let isTaken = false;
  const took = (piece: unknown, isEnd: boolean): void => {
    const buffer =
      typeof piece === 'string' || piece instanceof Uint8Array
        ? Buffer.from(piece as string)
        : Buffer.alloc(0);
    bytes += buffer.length;
    if (bytes <= MAX_BODY_BYTES) pieces.push(buffer);
    const declared = headers['content-length'];
    if (isTaken || !(declared === undefined ? isEnd : bytes === Number(declared))) return;
    isTaken = true;
    const body = bytes > MAX_BODY_BYTES ? null : Buffer.concat(pieces).toString();
    whenWhole({ status: response.statusCode, headers, body });
  };
  const over = <T>(method: (...all: never[]) => T, then: (all: readonly unknown[]) => void) =>
    ((...all: never[]) => {
      const result = method(...all);
      then(all);
      return result;
    }) as never;
  // Headers that are given to writeHead cannot be read back later.
  response.writeHead = over(response.writeHead.bind(response), (all) => {
    Object.assign(headers, response.getHeaders());
    for (const [name, value] of Object.entries(Object(all.at(-1))))
      headers[name.toLowerCase()] = value as string;
  });
  response.write = over(response.write.bind(response) as () => boolean, ([piece]) => took(piece, false));
  response.end = over(response.end.bind(response) as () => ServerResponse, ([piece]) => took(piece, true));
}

interface Exchange {
  readonly operationId: string;
  readonly request: IncomingMessage;
  /** Null: too large to keep. */
  readonly received: Buffer | null;
  readonly answer: Sent;
}

function record({ operationId, request, received, answer }: Exchange, contract: Contract): string[] {
  const { status, headers, body } = answer;
  const contentType = String(headers['content-type'] ?? '');
  const broken =
    body === null ? [] : contract.checkResponse({ operationId, status, contentType, headers, body });
  if (status < 300 && received !== null) {
    const facts = factsOf(operationId, request, received);
    broken.push(...contract.checkRequest(facts).map((what) => `${what}, and it was answered ${status}`));
  }
  const violations = broken.map((what) => `${what} (${request.method} ${request.url?.slice(0, 100)})`);
  recordExchange({ operationId, status, code: codeIn(contentType, body), violations });
  return violations;
}

/** A path with a broken percent-encoding belongs to no operation: it is refused in the same way on every path. */
function readable(url = ''): string {
  try {
    return decodeURI(url.split('?', 1).join('')) && url;
  } catch {
    // Only its first part is needed to find the operation; the router refuses such a path in any case.
    return url.replaceAll('%', '-');
  }
}

function codeIn(contentType: string, body: string | null): string | undefined {
  if (body === null || !contentType.includes('json')) return undefined;
  return (JSON.parse(body) as { error?: string }).error;
}

function factsOf(operationId: string, { headers, url = '' }: IncomingMessage, body: Buffer): RequestFacts {
  const search = new URLSearchParams(url.split('?')[1] ?? '');
  const query = Object.fromEntries(
    [...new Set(search.keys())].map((name) => {
      const [first, ...others] = search.getAll(name);
      return [name, others.length === 0 ? first : [first, ...others]];
    }),
  );
  // The admin plane reads any body as JSON.
  const isAdmin = url.startsWith('/__admin');
  const adminType = body.length > 0 ? 'application/json' : undefined;
  const contentType = isAdmin ? adminType : headers['content-type'];
  const facts = { operationId, headers, query, contentType };
  if (contentType === undefined || body.length === 0) return facts;
  if (/multipart/i.test(contentType)) return { ...facts, fields: partsIn(contentType, body) };
  if (/json/i.test(contentType)) return { ...facts, body: JSON.parse(body.toString()) };
  return {
    ...facts,
    fields: [...new URLSearchParams(body.toString())].map(([name, value]) => ({ name, value })),
  };
}
