// helpers/double-client.ts: a client with one API key. It is uploader and test driver at once, and uses one connection again and
// again.
//
// Promises: requests are sent one after the other, so that a script runs the same way every time. A missing answer is not an error,
// because such tests are about missing answers. Connections that a test leaves open are closed after it.
import { Agent, request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { afterEachTest } from './after-each-test.ts';
import { chunkParts, formOf } from './multipart.ts';

/** The parts of an answer that came. */
export interface Told<T = Readonly<Record<string, unknown>>> {
  /** 0: the connection ended without an answer. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Parsed, when the answer is JSON; otherwise empty. */
  readonly body: T;
}

export interface Asked {
  readonly headers?: Readonly<Record<string, string>>;
  /** It is sent as JSON. */
  readonly json?: unknown;
  readonly body?: Buffer | string;
}

export interface SentChunk {
  readonly fileId?: string;
  readonly index?: number;
  readonly total?: number;
  readonly bytes?: Buffer | string;
}

const agents = new Set<Agent>();

afterEachTest(() => {
  for (const agent of agents) agent.destroy();
  agents.clear();
});

export class DoubleClient {
  readonly #url: string;
  readonly #adminUrl: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(
    server: { readonly url: string; readonly adminUrl?: string | null },
    key?: string,
    headers: Readonly<Record<string, string>> = {},
  ) {
    this.#url = server.url;
    this.#adminUrl = server.adminUrl ?? `${server.url}/__admin`;
    this.#headers = { ...headers, ...(key === undefined ? {} : { 'x-api-key': key }) };
    agents.add(this.#agent);
  }

  /** `line`: method and path below /__admin, such as `POST rules`. */
  admin<T = Readonly<Record<string, unknown>>>(line: string, json?: unknown): Promise<Told<T>> {
    const [method = '', path = ''] = line.split(' ');
    return this.ask<T>(method, `${this.#adminUrl}/${path}`, json === undefined ? {} : { json });
  }

  /** `target`: a path, or a whole address. */
  ask<T = Readonly<Record<string, unknown>>>(
    method: string,
    target: string,
    { headers = {}, json, body = json === undefined ? undefined : JSON.stringify(json) }: Asked = {},
  ): Promise<Told<T>> {
    const type = json === undefined ? {} : { 'content-type': 'application/json' };
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    return new Promise((resolve) => {
      const nothing = (): void => resolve({ status: 0, headers: {}, text: '', body: {} as T });
      request(new URL(target, this.#url), {
        agent: this.#agent,
        method,
        headers: { ...this.#headers, ...type, ...length, ...headers },
      })
        .on('response', (answer) => void read<T>(answer).then(resolve, nothing))
        .on('error', nothing)
        .end(body);
    });
  }

  chunk({ fileId = 'f', index = 0, total = 1, bytes = 'bytes' }: SentChunk = {}): Promise<Told> {
    const parts = chunkParts({
      fileId,
      chunkIndex: index,
      totalChunks: total,
      bytes: Buffer.from(bytes as string),
    });
    const { contentType, body } = formOf(parts);
    return this.ask('POST', '/media/chunks', { headers: { 'content-type': contentType }, body });
  }

  /** `currentSize`; null: there is no upload. */
  async size(fileId = 'f'): Promise<number | null> {
    const { body } = await this.ask<{ data: { exists: boolean; currentSize: number } }>(
      'GET',
      `/media/chunks?fileId=${encodeURIComponent(fileId)}`,
    );
    return body.data.exists ? body.data.currentSize : null;
  }

  finalize(fileId = 'f', fields: Readonly<Record<string, unknown>> = {}): Promise<Told<{ data: Entry }>> {
    return this.ask('POST', '/media/videos', { json: { fileId, platforms: ['youtube'], ...fields } });
  }

  /** Null: there is no such entry. */
  async entry(id: string): Promise<Entry | null> {
    const { status, body } = await this.ask<{ data: Entry }>('GET', `/media/videos/${id}`);
    return status === 200 ? body.data : null;
  }
}

export interface Entry {
  readonly id: string;
  readonly status: string;
  readonly [field: string]: unknown;
}

async function read<T>(answer: IncomingMessage): Promise<Told<T>> {
  const pieces: Buffer[] = [];
  for await (const piece of answer) pieces.push(piece as Buffer);
  const text = Buffer.concat(pieces).toString();
  const isJson = /json/.test(answer.headers['content-type'] ?? '') && text !== '';
  return {
    status: answer.statusCode ?? 0,
    headers: answer.headers,
    text,
    body: (isJson ? JSON.parse(text) : {}) as T,
  };
}
