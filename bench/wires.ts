// bench/wires.ts: knows the protocol of each kind of server: how to send it a chunk, and which answer confirms a stored chunk.
//
// Promises: pure: text in, text out. Chunk `index` of an upload lies at `index × bytes`. Any answer that does not confirm a
// stored chunk counts as refused, so that a failing server is never measured.
// Must not know: sockets, which server is measured.

/** One chunk of one upload. */
export interface ChunkPlace {
  /** The name that the client gives the upload. */
  readonly fileId: string;
  /** The location that `create` was answered; empty for protocols without `create`. */
  readonly location: string;
  readonly index: number;
  readonly bytes: number;
  readonly totalChunks: number;
}

/** The bytes around the payload: the request's head with the start of the body, and the end of the body. */
export interface Envelope {
  readonly head: string;
  readonly tail: string;
}

export interface Answer {
  readonly status: number;
  /** The status line and headers as received. They are parsed only on demand, because most are never needed. */
  readonly head: string;
  readonly body: string;
}

/** @param name the header's name in any case */
export function headerOf({ head }: Pick<Answer, 'head'>, name: string): string | undefined {
  return new RegExp(`\\r\\n${name}: *([^\\r]*)`, 'i').exec(head)?.[1];
}

export interface Wire {
  /** A request that is sent once before the first chunk of an upload. Absent: the first chunk creates the upload. */
  create?(upload: Omit<ChunkPlace, 'location' | 'index'>, host: string): string;
  chunk(place: ChunkPlace, host: string): Envelope;
  isStored(answer: Answer, place: ChunkPlace): boolean;
}

export type WireName =
  | 'form-fields-first'
  | 'form-file-first'
  | 'raw-append'
  | 'raw-files'
  | 'tus'
  | 'uploadx'
  | 'status';

const BOUNDARY = 'xenonflare-mock-bench-f0e1d2c3b4a5';
const FILE_HEAD = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="blob"\r\nContent-Type: application/octet-stream\r\n\r\n`;
const END = `--${BOUNDARY}--\r\n`;

export const BENCH_KEY = 'bench';
/** The upload that status queries ask for. `storeForStatus` makes it; peers/constant.mjs knows it. */
export const STATUS_UPLOAD = { fileId: 'status', chunks: 10, chunkBytes: 1024 } as const;

function request(line: string, host: string, headers: readonly string[]): string {
  return [`${line} HTTP/1.1`, `Host: ${host}`, ...headers, '', ''].join('\r\n');
}

function formFields({ fileId, index, totalChunks }: ChunkPlace): string {
  return Object.entries({ fileId, chunkIndex: index, totalChunks })
    .map(
      ([name, value]) =>
        `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
    )
    .join('');
}

/** `POST /media/chunks` as the contract has it. */
function formWire(order: 'fields-first' | 'file-first'): Wire {
  return {
    chunk(place, host) {
      const fields = formFields(place);
      const before = order === 'fields-first' ? `${fields}${FILE_HEAD}` : FILE_HEAD;
      const tail = order === 'fields-first' ? `\r\n${END}` : `\r\n${fields}${END}`;
      const head = request('POST /media/chunks', host, [
        `X-API-Key: ${BENCH_KEY}`,
        `Content-Type: multipart/form-data; boundary=${BOUNDARY}`,
        `Content-Length: ${before.length + place.bytes + tail.length}`,
      ]);
      return { head: `${head}${before}`, tail };
    },
    isStored({ status, body }, { fileId, index, totalChunks }) {
      const isLast = index === totalChunks - 1;
      const expected = isLast
        ? { success: true, data: { completed: true, fileId }, message: 'Upload complete' }
        : { success: true, data: { completed: false, chunkIndex: index }, message: 'Chunk received' };
      return status === 200 && body === JSON.stringify(expected);
    },
  };
}

function rawHead(line: string, host: string, bytes: number): string {
  return request(line, host, ['Content-Type: application/octet-stream', `Content-Length: ${bytes}`]);
}

const rawAppend: Wire = {
  chunk: ({ fileId, bytes }, host) => ({ head: rawHead(`PUT /${fileId}`, host, bytes), tail: '' }),
  isStored: ({ status }) => status === 200,
};

/** One file for each chunk, because nginx can do no more. */
const rawFiles: Wire = {
  chunk: ({ fileId, index, bytes }, host) => ({
    head: rawHead(`PUT /${fileId}-${index}`, host, bytes),
    tail: '',
  }),
  isStored: ({ status }) => status === 201,
};

/** tus 1.0, https://tus.io/protocols/resumable-upload: core and creation. */
const tus: Wire = {
  create: ({ fileId, bytes, totalChunks }, host) =>
    request('POST /files', host, [
      'Tus-Resumable: 1.0.0',
      `Upload-Length: ${bytes * totalChunks}`,
      `Upload-Metadata: filename ${Buffer.from(fileId).toString('base64')}`,
      'Content-Length: 0',
    ]),
  chunk: ({ location, index, bytes }, host) => ({
    head: request(`PATCH ${location}`, host, [
      'Tus-Resumable: 1.0.0',
      `Upload-Offset: ${index * bytes}`,
      'Content-Type: application/offset+octet-stream',
      `Content-Length: ${bytes}`,
    ]),
    tail: '',
  }),
  isStored: (answer, { index, bytes }) =>
    answer.status === 204 && headerOf(answer, 'upload-offset') === String((index + 1) * bytes),
};

/** The protocol of node-uploadx, https://github.com/kukhariev/node-uploadx/blob/master/proto.md. */
const uploadx: Wire = {
  create({ fileId, bytes, totalChunks }, host) {
    const metadata = JSON.stringify({ name: fileId });
    const head = request('POST /files', host, [
      'Content-Type: application/json',
      `X-Upload-Content-Length: ${bytes * totalChunks}`,
      'X-Upload-Content-Type: application/octet-stream',
      `Content-Length: ${metadata.length}`,
    ]);
    return `${head}${metadata}`;
  },
  chunk({ location, index, bytes, totalChunks }, host) {
    const from = index * bytes;
    const range = `bytes ${from}-${from + bytes - 1}/${bytes * totalChunks}`;
    const head = request(`PUT ${location}`, host, [
      'Content-Type: application/octet-stream',
      `Content-Range: ${range}`,
      `Content-Length: ${bytes}`,
    ]);
    return { head, tail: '' };
  },
  isStored: (answer, { index, bytes }) =>
    answer.status === 308 && headerOf(answer, 'range') === `bytes=0-${(index + 1) * bytes - 1}`,
};

const STATUS_ANSWER = JSON.stringify({
  success: true,
  data: {
    exists: true,
    currentSize: STATUS_UPLOAD.chunks * STATUS_UPLOAD.chunkBytes,
    fileId: STATUS_UPLOAD.fileId,
  },
});

/** A status query, `GET /media/chunks`, instead of a chunk. */
const status: Wire = {
  chunk: (_place, host) => ({
    head: request(`GET /media/chunks?fileId=${STATUS_UPLOAD.fileId}`, host, [`X-API-Key: ${BENCH_KEY}`]),
    tail: '',
  }),
  isStored: (answer) => answer.status === 200 && answer.body === STATUS_ANSWER,
};

export const WIRES: Readonly<Record<WireName, Wire>> = {
  'form-fields-first': formWire('fields-first'),
  'form-file-first': formWire('file-first'),
  'raw-append': rawAppend,
  'raw-files': rawFiles,
  tus,
  uploadx,
  status,
};
