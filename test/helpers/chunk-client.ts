// helpers/chunk-client.ts: an uploader that may break off, for tests in which the server may break off, too.
//
// A missing answer is not an error here, because such tests are about missing answers.
import { Agent, request, type IncomingMessage } from 'node:http';

export interface Posted {
  readonly status: number;
  readonly text: string;
}

export interface Post {
  readonly contentType: string;
  readonly body: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /** Send the body in the chunked transfer coding instead of with a length. */
  readonly isChunked?: boolean;
  /** Send only so many bytes of the body, then cut the connection. */
  readonly cutAfter?: number;
}

/** Connections are kept and used again; `destroy` ends them. */
export function keepAliveAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 200 });
}

/** Null: the connection ended without an answer. */
export function post(agent: Agent, url: string, posted: Post): Promise<Posted | null> {
  const { contentType, body, headers = {}, isChunked = false, cutAfter } = posted;
  const length = isChunked ? {} : { 'content-length': body.length };
  return new Promise((resolve) => {
    const sent = request(url, {
      agent,
      method: 'POST',
      headers: { 'content-type': contentType, ...length, ...headers },
    });
    sent.on('response', (answer) => resolve(read(answer))).on('error', () => resolve(null));
    if (cutAfter === undefined) sent.end(body);
    else sent.write(body.subarray(0, cutAfter), () => sent.destroy());
  });
}

/** Null: the connection ended without an answer. */
export function get(
  agent: Agent,
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Posted | null> {
  return new Promise((resolve) => {
    request(url, { agent, headers })
      .on('response', (answer) => resolve(read(answer)))
      .on('error', () => resolve(null))
      .end();
  });
}

async function read(answer: IncomingMessage): Promise<Posted | null> {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of answer) pieces.push(piece as Buffer);
  } catch {
    return null;
  }
  return { status: answer.statusCode ?? 0, text: Buffer.concat(pieces).toString() };
}
