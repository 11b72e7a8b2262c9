// helpers/exchanges.ts: requests of the contract byte by byte, together with what a journal must say about them, and a server whose
// connections can be counted.
//
// Promises: what a body contained is counted here, from the bytes that are sent, without the server's code.
import type { Server as HttpServer } from 'node:http';
import { crc32 } from 'node:zlib';
import type { ConfigInput } from '../../src/config/options.ts';
import { createDouble, type TestDouble } from '../../src/control/in-process.ts';
import type { Exchange } from '../../src/journal/exchange.ts';
import { openTestServer, type TestServer } from './app.ts';
import { BOUNDARY, chunkParts, fieldsFirst, formOf, type Part } from './multipart.ts';
import { requestBytes } from './raw.ts';

export type Order = 'the file first' | 'the fields first';

export interface Request {
  /** Head and body. */
  readonly bytes: Buffer;
  readonly declaredBytes: number | null;
  readonly parts: readonly Part[];
}

export interface SentChunk {
  readonly key: string;
  readonly fileId: string;
  readonly index: number;
  readonly total: number;
  readonly bytes: Buffer;
  readonly order?: Order;
}

export function chunkRequest({ key, fileId, index, total, bytes, order }: SentChunk): Request {
  const chunk = { fileId, chunkIndex: index, totalChunks: total, bytes };
  const parts = order === 'the file first' ? chunkParts(chunk) : fieldsFirst(chunk);
  return formRequest('/media/chunks', key, parts);
}

export function finaliseRequest({ key, fileId }: { key: string; fileId: string }): Request {
  return formRequest('/media/videos', key, [
    { name: 'fileId', value: fileId },
    { name: 'platforms', value: '["instagram"]' },
  ]);
}

/** The form also has unexpected parts around the file. */
export function directRequest({ key, bytes }: { key: string; bytes: Buffer }): Request {
  return formRequest('/media/videos', key, [
    { name: 'constructor', value: 'of another uploader' },
    { name: 'platforms', value: '["instagram"]' },
    { name: 'file', value: bytes, filename: 'clip ü.mp4', type: 'video/mp4' },
    { name: 'tags[]', value: 'a' },
    { name: 'tags[]', value: '' },
  ]);
}

export function statusRequest({ key, fileId }: { key: string; fileId: string }): Request {
  const bytes = requestBytes(`GET /media/chunks?fileId=${fileId}`, { 'x-api-key': key });
  return { bytes, declaredBytes: null, parts: [] };
}

function formRequest(path: string, key: string, parts: readonly Part[]): Request {
  const { contentType, body } = formOf(parts);
  const headers = { 'content-type': contentType, 'x-api-key': key };
  return { bytes: requestBytes(`POST ${path}`, headers, body), declaredBytes: body.length, parts };
}

/** `body` of the exchange when none of its bytes count. */
export function unreadBody({ declaredBytes }: Request): Exchange['body'] {
  return { declaredBytes, receivedBytes: 0, fileBytes: 0, parts: [] };
}

/** `body` of the exchange when it was read to its end. */
export function wholeBody({ declaredBytes, parts }: Request): Exchange['body'] {
  const file = parts.find(({ name }) => name === 'file');
  return {
    declaredBytes,
    receivedBytes: declaredBytes ?? 0,
    fileBytes: file?.value.length ?? 0,
    parts: parts.map(seenPart),
  };
}

/** `body` of the exchange when it was cut after so many bytes of its file. */
export function bodyUpTo({ declaredBytes, parts }: Request, fileBytes: number): Exchange['body'] {
  const at = parts.findIndex(({ name }) => name === 'file');
  const file = parts[at];
  if (file === undefined) throw new Error('a request without a file');
  const seen = [...parts.slice(0, at), { ...file, value: Buffer.from(file.value).subarray(0, fileBytes) }];
  // The parts that were seen, without the line break and the delimiter that end the form.
  const receivedBytes = formOf(seen).body.length - `\r\n--${BOUNDARY}--\r\n`.length;
  return { declaredBytes, receivedBytes, fileBytes, parts: seen.map(seenPart) };
}

function seenPart({ name, filename, value }: Part): Exchange['body']['parts'][number] {
  const bytes = Buffer.from(value);
  const named = filename === undefined ? { name } : { name, filename };
  return { ...named, bytes: bytes.length, crc32: crc32(bytes).toString(16).padStart(8, '0') };
}

export interface FaultServer extends TestServer {
  readonly double: TestDouble;
  /** Connections that the server holds open. */
  connections(): Promise<number>;
  /** Requests whose head it has read. */
  begun(): number;
}

export async function openFaultServer(settings: ConfigInput = {}): Promise<FaultServer> {
  const listeners: HttpServer[] = [];
  let begun = 0;
  const observe = (app: { readonly server: HttpServer }): void => {
    listeners.push(app.server);
    app.server.on('request', () => (begun += 1));
  };
  const server = await openTestServer(settings, { observe });
  const counted = (listener: HttpServer): Promise<number> =>
    new Promise((resolve, reject) => {
      listener.getConnections((error, count) => {
        if (error === null) resolve(count);
        else reject(error);
      });
    });
  return {
    ...server,
    double: createDouble(server),
    begun: () => begun,
    connections: async () =>
      (await Promise.all(listeners.map(counted))).reduce((sum, count) => sum + count, 0),
  };
}
