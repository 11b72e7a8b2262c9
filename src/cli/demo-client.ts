// cli/demo-client.ts: the few calls that a resumable upload needs, and one call that breaks off on purpose.
//
// Promises: an unexpected answer is a DemoFailure that describes the answer.
// The client uses only the documented routes and the digest of the admin plane.
import { once } from 'node:events';
import { request } from 'node:http';

/** The server did not do what the contract promises. The message is a sentence for a person. */
export class DemoFailure extends Error {
  override readonly name = 'DemoFailure';
}

export interface Chunk {
  readonly fileId: string;
  readonly index: number;
  readonly total: number;
  readonly bytes: Uint8Array;
}

export interface EntryFacts {
  readonly id: string;
  readonly status: string;
}

const API_KEY = 'demo';
const TIMEOUT_MS = 60_000;
const BOUNDARY = 'xenonflare-mock-demo-broken-off';

/** `currentSize`: how many bytes the server has, and thus where to continue. */
export async function askCurrentSize(url: string, fileId: string): Promise<number> {
  const answer = await call(`${url}/media/chunks?fileId=${encodeURIComponent(fileId)}`);
  const { exists, currentSize } = dataOf(answer) as { exists: boolean; currentSize: number };
  if (!exists) throw new DemoFailure(`The server says that it does not know the upload ${fileId}.`);
  return currentSize;
}

/** Resolves to whether this chunk completed the upload. */
export async function sendChunk(url: string, chunk: Chunk): Promise<boolean> {
  const form = new FormData();
  for (const [name, value] of fieldsOf(chunk)) form.set(name, value);
  form.set('file', new Blob([chunk.bytes]), 'demo.mp4');
  const answer = await call(`${url}/media/chunks`, { method: 'POST', body: form });
  return (dataOf(answer) as { completed: boolean }).completed;
}

/**
 * Sends the first half of a chunk, then calls `breakOff`, which must end the connection.
 * Resolves to the code of the client's error.
 */
export async function sendHalfChunk(
  url: string,
  chunk: Chunk,
  breakOff: () => Promise<void>,
): Promise<string> {
  const head = [
    ...fieldsOf(chunk).map(
      ([name, value]) =>
        `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
    ),
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="demo.mp4"\r\n\r\n`,
  ].join('');
  const tailBytes = `\r\n--${BOUNDARY}--\r\n`.length;
  const upload = request(`${url}/media/chunks`, {
    method: 'POST',
    headers: {
      'x-api-key': API_KEY,
      'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
      'content-length': head.length + chunk.bytes.length + tailBytes,
    },
  });
  const broken = once(upload, 'response').then(
    ([response]) => `status ${String((response as { statusCode?: number }).statusCode)}`,
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
  upload.write(head);
  // Node calls back when the operating system has taken all bytes.
  const half = chunk.bytes.subarray(0, chunk.bytes.length / 2);
  await new Promise<void>((resolve) => upload.write(half, () => resolve()));
  await breakOff();
  const met = await broken;
  if (met.startsWith('status'))
    throw new DemoFailure(`The server answered half a chunk with ${met} instead of breaking off.`);
  return met;
}

export async function createVideo(url: string, fileId: string): Promise<EntryFacts> {
  const form = new FormData();
  form.set('fileId', fileId);
  form.set('title', 'A video that survived its server');
  form.set('platforms', JSON.stringify(['youtube']));
  return dataOf(await call(`${url}/media/videos`, { method: 'POST', body: form })) as EntryFacts;
}

export async function getVideo(url: string, id: string): Promise<EntryFacts> {
  return dataOf(await call(`${url}/media/videos/${id}`)) as EntryFacts;
}

/** The digest of the stored bytes, which the server reads from the disk. */
export async function storedDigest(
  adminUrl: string,
  id: string,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const answer = await call(`${adminUrl}/media/${id}?digest=sha256`);
  return answer as { bytes: number; sha256: string };
}

function fieldsOf({ fileId, index, total }: Chunk): [name: string, value: string][] {
  return [
    ['fileId', fileId],
    ['chunkIndex', String(index)],
    ['totalChunks', String(total)],
  ];
}

async function call(url: string, init: { method?: string; body?: FormData } = {}): Promise<unknown> {
  const response = await fetch(url, {
    ...init,
    headers: { 'x-api-key': API_KEY },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const text = await response.text();
  if (response.ok) return JSON.parse(text) as unknown;
  const method = init.method ?? 'GET';
  throw new DemoFailure(`${method} ${url} was answered with ${response.status}: ${text}`);
}

function dataOf(answer: unknown): unknown {
  return (answer as { data: unknown }).data;
}
