// helpers/flood.ts: sends chunks of any size over bare sockets, from one shared buffer, so that the sender's memory does not grow
// with them.
import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';

const BOUNDARY = 'xenonflare-mock-flood-2f8a61c07d';
const PIECE = Buffer.alloc(1024 * 1024);
// Any two kilobytes differ, so that bytes in the wrong place are noticed.
for (let at = 0; at < PIECE.length; at += 4) PIECE.writeUInt32LE((at * 2_654_435_761) % 2 ** 32, at);

export interface FloodChunk {
  readonly fileId: string;
  readonly index: number;
  readonly total: number;
  readonly bytes: number;
  readonly fileFirst?: boolean;
}

export interface FloodAnswer {
  /** 0: the connection ended without an answer. */
  readonly status: number;
  readonly text: string;
}

/** A request in three pieces: the bytes before the file, the number of the file's bytes, the bytes after the file. */
interface Wire {
  readonly before: string;
  readonly bytes: number;
  readonly behind: string;
}

function wireOf({ fileId, index, total, bytes, fileFirst = false }: FloodChunk): Wire {
  const fields = { fileId, chunkIndex: index, totalChunks: total };
  return formWire('/media/chunks', fields, { bytes, filename: 'blob', fileFirst });
}

interface FloodFile {
  readonly bytes: number;
  readonly filename: string;
  readonly fileFirst: boolean;
}

function formWire(
  path: string,
  named: Readonly<Record<string, string | number>>,
  { bytes, filename, fileFirst }: FloodFile,
): Wire {
  const fields = Object.entries(named)
    .map(
      ([name, value]) =>
        `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
    )
    .join('');
  const file = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="${filename}"\r\n\r\n`;
  const end = `--${BOUNDARY}--\r\n`;
  const opening = fileFirst ? file : `${fields}${file}`;
  const behind = fileFirst ? `\r\n${fields}${end}` : `\r\n${end}`;
  const head = [
    `POST ${path} HTTP/1.1`,
    'Host: localhost',
    `Content-Type: multipart/form-data; boundary=${BOUNDARY}`,
    `Content-Length: ${opening.length + bytes + behind.length}`,
    'Connection: close',
    ...(path === '/media/chunks' ? [] : ['X-API-Key: k']),
  ];
  return { before: `${head.join('\r\n')}\r\n\r\n${opening}`, bytes, behind };
}

/** Sends one chunk on its own connection and reads the answer, even when the answer comes before the whole chunk is sent. */
export async function flood(port: number, chunk: FloodChunk): Promise<FloodAnswer> {
  const socket = connect({ port, host: '127.0.0.1' });
  const answer = answerOn(socket);
  await write(socket, wireOf(chunk));
  return answer;
}

/** A whole video, sent directly. */
export async function floodVideo(
  port: number,
  { bytes, fileFirst }: Omit<FloodFile, 'filename'>,
): Promise<FloodAnswer> {
  const socket = connect({ port, host: '127.0.0.1' });
  const answer = answerOn(socket);
  const file = { bytes, fileFirst, filename: 'film.mp4' };
  await write(socket, formWire('/media/videos', { platforms: '["youtube"]' }, file));
  return answer;
}

/** Sends `bytes` of the chunk, then resets the connection. */
export async function floodAndReset(
  port: number,
  chunk: FloodChunk,
  bytesOf: (wholeBytes: number) => number,
): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1' }).on('error', () => undefined);
  const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const { before, behind } = wireOf(chunk);
  const whole = Buffer.concat([Buffer.from(before), PIECE.subarray(0, chunk.bytes), Buffer.from(behind)]);
  await put(socket, whole.subarray(0, bytesOf(whole.length)));
  socket.resetAndDestroy();
  await gone;
}

/** Sends so many bytes of the chunk and then nothing, until it is told to go on or to leave. */
export function stalledAfter(
  port: number,
  chunk: FloodChunk,
  bytes: number,
): { goOn: () => Promise<FloodAnswer>; reset: () => void } {
  const { before, behind } = wireOf(chunk);
  const whole = Buffer.concat([Buffer.from(before), PIECE.subarray(0, chunk.bytes), Buffer.from(behind)]);
  const socket = connect({ port, host: '127.0.0.1' });
  const answer = answerOn(socket);
  const begun = put(socket, whole.subarray(0, bytes));
  return {
    async goOn() {
      await begun;
      await put(socket, whole.subarray(bytes));
      return answer;
    },
    reset: () => void socket.resetAndDestroy(),
  };
}

/** What was received when the connection ended. A reset after an answer is not a loss. */
async function answerOn(socket: Socket): Promise<FloodAnswer> {
  let received = '';
  await new Promise<void>((resolve) => {
    socket
      .on('data', (bytes) => (received += bytes.toString('latin1')))
      .on('error', () => resolve())
      .on('close', () => resolve());
  });
  const [head = '', text = ''] = received.split('\r\n\r\n', 2);
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0), text };
}

async function write(socket: Socket, { before, bytes, behind }: Wire): Promise<void> {
  await put(socket, Buffer.from(before));
  for (let left = bytes; left > 0; left -= PIECE.length) await put(socket, PIECE.subarray(0, left));
  await put(socket, Buffer.from(behind));
}

/** Resolves when the kernel has taken the bytes, or when the connection is gone. */
function put(socket: Socket, bytes: Buffer): Promise<void> {
  if (socket.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('close', done);
      resolve();
    };
    socket.once('close', done);
    socket.write(bytes, done);
  });
}

/** The SHA-256 of chunks of these sizes, one behind the other. */
export function floodDigest(sizes: readonly number[]): string {
  const hash = createHash('sha256');
  for (const size of sizes) {
    for (let left = size; left > 0; left -= PIECE.length) hash.update(PIECE.subarray(0, left));
  }
  return hash.digest('hex');
}
