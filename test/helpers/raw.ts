// helpers/raw.ts: HTTP on a bare socket, for bytes that no HTTP library sends and for answers that no HTTP library shows.
//
// Promises: nothing waits longer than DEADLINE_MS. A reset connection counts as a normal end and never becomes an unhandled error.
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export const DEADLINE_MS = 60_000;

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** A request as it is sent. If it has neither `content-length` nor `transfer-encoding`, the length of the body is declared. */
export function requestBytes(
  line: string,
  headers: Readonly<Record<string, string | number>> = {},
  body: Buffer | string = '',
): Buffer {
  const own = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  const hasLength = 'content-length' in own || 'transfer-encoding' in own || line.startsWith('GET ');
  const all = {
    host: 'localhost',
    ...(hasLength ? {} : { 'content-length': Buffer.byteLength(body) }),
    ...own,
  };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`${line} HTTP/1.1\r\n${head.join('')}\r\n`), Buffer.from(body)]);
}

/** The body in the chunked transfer coding, in pieces of `size` bytes. */
export function chunkedCoding(body: Buffer, size = 1_000): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < body.length; at += size) {
    const piece = body.subarray(at, at + size);
    pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
  }
  return Buffer.concat([...pieces, Buffer.from('0\r\n\r\n')]);
}

export class RawConnection {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #isClosed = false;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket
      .on('data', (bytes) => {
        this.#received = Buffer.concat([this.#received, bytes]);
        this.#wake();
      })
      .on('end', () => this.#closed())
      .on('error', () => this.#closed())
      .on('close', () => this.#closed());
  }

  /** The server has ended the connection, in whatever way. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** What was received and does not belong to an answer that was taken. */
  get leftOver(): string {
    return this.#received.toString('latin1');
  }

  /** Resolves when the kernel has the bytes, or when the connection has ended. */
  async write(bytes: Buffer | string): Promise<void> {
    if (this.#isClosed || this.#socket.destroyed) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#socket.off('close', done);
        resolve();
      };
      this.#socket.once('close', done).write(bytes, done);
    });
  }

  /** Each piece in a packet of its own. */
  async writeSlowly(pieces: Iterable<Buffer>, pauseMs = 0): Promise<void> {
    for (const piece of pieces) {
      await this.write(piece);
      if (pauseMs > 0) await delay(pauseMs);
      else await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** The next answer, 1xx included. Null: the connection ended without one. */
  async answer(options: { isHead?: boolean } = {}): Promise<RawAnswer | null> {
    return this.#wait('an answer', () => {
      const parsed = parseAnswer(this.#received, { ...options, isClosed: this.#isClosed });
      if (parsed !== null) this.#received = this.#received.subarray(parsed.bytes);
      if (parsed !== null) return parsed.answer;
      return this.#isClosed ? null : undefined;
    });
  }

  async closed(): Promise<void> {
    await this.#wait('the end of the connection', () => (this.#isClosed ? null : undefined));
  }

  /** No more will be sent; answers are still read. */
  halfClose(): void {
    this.#socket.end();
  }

  reset(): void {
    this.#socket.resetAndDestroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #closed(): void {
    this.#isClosed = true;
    this.#wake();
  }

  async #wait<T>(what: string, look: () => T | undefined): Promise<T> {
    const deadline = Date.now() + DEADLINE_MS;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (Date.now() > deadline)
        throw new Error(`${what} did not come; got ${JSON.stringify(this.leftOver)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

const opened = new Set<RawConnection>();

export function closeConnections(): void {
  for (const connection of opened) connection.destroy();
  opened.clear();
}

export async function openConnection(port: number): Promise<RawConnection> {
  const socket = connect({ port, host: '127.0.0.1' });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve).once('error', reject);
  });
  const connection = new RawConnection(socket);
  opened.add(connection);
  socket.once('close', () => opened.delete(connection));
  return connection;
}

/** Sends the pieces, each in its own packet, and returns the first final answer; null when there was none. */
export async function rawExchange(port: number, pieces: Iterable<Buffer>): Promise<RawAnswer | null> {
  const connection = await openConnection(port);
  await connection.writeSlowly(pieces);
  let answer = await connection.answer();
  while (answer !== null && answer.status < 200) answer = await connection.answer();
  connection.destroy();
  return answer;
}

function parseAnswer(
  bytes: Buffer,
  { isHead = false, isClosed }: { isHead?: boolean; isClosed: boolean },
): { answer: RawAnswer; bytes: number } | null {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd === -1) return null;
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, headEnd).split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [
      line.slice(0, line.indexOf(':')).toLowerCase(),
      line.slice(line.indexOf(':') + 1).trim(),
    ]),
  );
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1]);
  const rest = bytes.subarray(headEnd + 4);
  const body = bodyOf(rest, headers, { isBodiless: isHead || status < 200 || status === 204, isClosed });
  if (body === null) return null;
  return { answer: { status, headers, text: body.text }, bytes: headEnd + 4 + body.bytes };
}

function bodyOf(
  rest: Buffer,
  headers: Readonly<Record<string, string>>,
  { isBodiless, isClosed }: { isBodiless: boolean; isClosed: boolean },
): { text: string; bytes: number } | null {
  if (isBodiless) return { text: '', bytes: 0 };
  if (headers['transfer-encoding'] === 'chunked') return dechunked(rest);
  const length = headers['content-length'];
  if (length === undefined) return isClosed ? { text: rest.toString(), bytes: rest.length } : null;
  if (rest.length < Number(length)) return null;
  return { text: rest.toString('utf8', 0, Number(length)), bytes: Number(length) };
}

function dechunked(rest: Buffer): { text: string; bytes: number } | null {
  const pieces: Buffer[] = [];
  for (let at = 0; ;) {
    const lineEnd = rest.indexOf('\r\n', at);
    if (lineEnd === -1) return null;
    const size = Number.parseInt(rest.toString('latin1', at, lineEnd), 16);
    const end = lineEnd + 2 + size + 2;
    if (rest.length < end) return null;
    if (size === 0) return { text: Buffer.concat(pieces).toString(), bytes: end };
    pieces.push(rest.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = end;
  }
}
