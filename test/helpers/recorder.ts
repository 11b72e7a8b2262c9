// helpers/recorder.ts: holds every exchange of a server against openapi.yaml or openapi-admin.yaml, in both directions.
//
// Promises: it sees what Node really received and what was really handed to the socket, and changes neither. An answer
// must keep the contract; a request that was answered with success must have kept it, too. An exchange that a fault rule
// touched (`X-Mock-Fault`) is left out, and so is what is no good HTTP/1.1, which is refused on every path in the same way.
// Bodies beyond MAX_BODY_BYTES are not kept, so what is in them is not looked at.
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
  /** What was broken, one sentence each. */
  readonly violations: string[];
  observe(app: FastifyInstance): void;
}

export function createRecorder(): Recorder {
  const violations: string[] = [];
  const contracts = [loadContract(), loadContract('openapi-admin.yaml')];
  return {
    violations,
    observe: (app) => {
      // An operation that this port does not serve is no operation here.
      const served = new Set<string>();
      app.addHook('onRoute', ({ method, url }) => {
        for (const one of [method].flat()) served.add(`${one} ${url}`);
      });
      // Before Fastify's own listener: what it does to request and response comes after.
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

/** Taken where Node's parser hands the body over, so that nothing has to listen to the stream. */
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

/** Calls back once, when all that Content-Length promised has been handed over: an answer cut short is none. */
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
  // Headers that are given to writeHead are nowhere to be asked for afterwards.
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

/** A path with a broken percent-encoding is refused like no operation's: on every path in the same way. */
function readable(url = ''): string {
  try {
    return decodeURI(url.split('?', 1).join('')) && url;
  } catch {
    return url.replaceAll('%', '-'); // Which operation it is, its first part says; the router refuses it all the same.
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
