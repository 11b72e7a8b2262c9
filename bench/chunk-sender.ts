// bench/chunk-sender.ts: the chunks of one connection: an upload of its own, chunk 0, 1, 2, … in order.
//
// Promises: no request is ever sent twice, so none can be answered as a duplicate (rule C6); every answer must be
// `Chunk received` for the chunk that was sent. The payload is one buffer, shared and never copied.
// Must not know: how requests are scheduled, what is measured.

/** Which comes first in the form: the three fields, or the `file` part. The server can stream the former only. */
export type PartOrder = 'fields-first' | 'file-first';

export interface ChunkSenderOptions {
  readonly host: string;
  readonly fileId: string;
  readonly order: PartOrder;
  readonly payload: Buffer;
}

const BOUNDARY = 'xenonflare-mock-bench-f0e1d2c3b4a5';
/** The most that the server takes: no upload of the bench is ever complete. */
const TOTAL_CHUNKS = 1_000_000;
const FILE_HEAD = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="blob"\r\nContent-Type: application/octet-stream\r\n\r\n`;
const END = `--${BOUNDARY}--\r\n`;

export const BENCH_KEY = 'bench';

export class ChunkSender {
  readonly fileId: string;
  readonly #options: ChunkSenderOptions;
  #sent = 0;
  #acknowledged = 0;

  constructor(options: ChunkSenderOptions) {
    this.#options = options;
    this.fileId = options.fileId;
  }

  get acknowledgedBytes(): number {
    return this.#acknowledged * this.#options.payload.length;
  }

  /** The next request, as what stands before the payload, the payload, and what stands behind it. */
  next(): readonly [head: Buffer, payload: Buffer, tail: Buffer] {
    const { host, order, payload } = this.#options;
    const fields = this.#fields(this.#sent);
    this.#sent += 1;
    const before = order === 'fields-first' ? `${fields}${FILE_HEAD}` : FILE_HEAD;
    const behind = order === 'fields-first' ? `\r\n${END}` : `\r\n${fields}${END}`;
    const length = before.length + payload.length + behind.length;
    const head = [
      'POST /media/chunks HTTP/1.1',
      `Host: ${host}`,
      `X-API-Key: ${BENCH_KEY}`,
      `Content-Type: multipart/form-data; boundary=${BOUNDARY}`,
      `Content-Length: ${length}`,
      '',
      before,
    ].join('\r\n');
    return [Buffer.from(head, 'latin1'), payload, Buffer.from(behind, 'latin1')];
  }

  /** Whether the answer says that the chunk sent last was stored. */
  accept(status: number, body: string): boolean {
    const expected = `{"success":true,"data":{"completed":false,"chunkIndex":${this.#sent - 1}},"message":"Chunk received"}`;
    if (status !== 200 || body !== expected) return false;
    this.#acknowledged += 1;
    return true;
  }

  #fields(index: number): string {
    const fields = { fileId: this.fileId, chunkIndex: index, totalChunks: TOTAL_CHUNKS };
    return Object.entries(fields)
      .map(
        ([name, value]) =>
          `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
      )
      .join('');
  }
}
