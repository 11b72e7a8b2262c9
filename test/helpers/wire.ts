// helpers/wire.ts: one HTTP connection as its client sees it: what was received of each answer, and whether the connection ended
// with FIN or with RST.
//
// Promises: nothing waits longer than DEADLINE_MS. It continues to send after the server's FIN, as a client does that is in the
// middle of a body. `closeWires` closes the connections that a test leaves open.
import { connect, type Socket } from 'node:net';
import { afterEachTest } from './after-each-test.ts';
import { DEADLINE_MS } from './raw.ts';

export type Ending = 'FIN' | 'RST';

/** An answer, or the part of it that was received. */
export interface Heard {
  /** Null: no whole head was received, or what was received is not HTTP. */
  readonly status: number | null;
  readonly headers: Readonly<Record<string, string>>;
  /** The bytes of the answer's body. Without a head: everything that was received. */
  readonly body: Buffer;
  /** True: the body has all that `Content-Length` promised, or the status has no body. */
  readonly isWhole: boolean;
  /** How the connection ended. Null: it is open, or it was still open when the answer was complete. */
  readonly ending: Ending | null;
}

const opened = new Set<Wire>();

afterEachTest(closeWires);

function closeWires(): void {
  for (const wire of opened) wire.leave();
  opened.clear();
}

export class Wire {
  /** The bytes sent by all `send`s. They are fewer while the server does not read. */
  flushedBytes = 0;
  readonly #socket: Socket;
  readonly #all: Buffer[] = [];
  #received = Buffer.alloc(0);
  #ending: Ending | null = null;
  #isClosed = false;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket
      .on('data', (bytes) => this.#came(bytes))
      .on('end', () => this.#probe())
      .on('error', () => this.#ended('RST'))
      .on('close', () => {
        this.#isClosed = true;
        this.#wake();
      });
  }

  static async open(port: number): Promise<Wire> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).once('error', reject);
    });
    const wire = new Wire(socket);
    opened.add(wire);
    return wire;
  }

  /** Every byte that came, taken or not. */
  get transcript(): Buffer {
    return Buffer.concat(this.#all);
  }

  get ending(): Ending | null {
    return this.#ending;
  }

  /** Never waits for the server to read. */
  send(...pieces: readonly Buffer[]): void {
    for (const piece of pieces) {
      this.#socket.write(piece, (error) => {
        if (error === null || error === undefined) this.flushedBytes += piece.length;
      });
    }
  }

  /** The next answer, or the part of it that was received before the connection ended. */
  async hear(): Promise<Heard> {
    return this.#until('an answer', () => {
      const heard = parse(this.#received, this.#ending);
      if (!heard.isWhole && this.#ending === null) return undefined;
      this.#received = this.#received.subarray(heard.bytes);
      return heard;
    });
  }

  /** Like `hear`, without waiting for more. */
  soFar(): Heard {
    return parse(this.#received, this.#ending);
  }

  async request(...pieces: readonly Buffer[]): Promise<Heard> {
    this.send(...pieces);
    return this.hear();
  }

  /** How the server ended the connection. */
  async ended(): Promise<Ending> {
    return this.#until('the end of the connection', () => this.#ending ?? undefined);
  }

  /** No more will be sent; what the server sends is still heard. */
  halfClose(): void {
    this.#socket.end();
  }

  /** Closes as a client that is killed does. */
  leave(): void {
    opened.delete(this);
    this.#socket.destroy();
  }

  /** Like `leave`, with an RST. */
  tear(): void {
    opened.delete(this);
    this.#socket.resetAndDestroy();
  }

  #came(bytes: Buffer): void {
    this.#all.push(bytes);
    this.#received = Buffer.concat([this.#received, bytes]);
    this.#wake();
  }

  /**
   * Node reports an RST that arrives together with bytes as a normal end, like a FIN. The kernel tells them apart: after an RST
   * even a write of no bytes fails, and it fails with EPIPE if a FIN came before the RST.
   */
  #probe(): void {
    this.#socket.write(Buffer.alloc(0), (error) => {
      const code = error !== null && error !== undefined && 'code' in error ? error.code : null;
      this.#ended(code === 'ECONNRESET' ? 'RST' : 'FIN');
    });
  }

  #ended(how: Ending): void {
    this.#ending ??= how;
    this.#wake();
  }

  async #until<T>(what: string, look: () => T | undefined): Promise<T> {
    const deadline = Date.now() + DEADLINE_MS;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (this.#isClosed) throw new Error(`waited for ${what} on a connection that this side has closed`);
      if (Date.now() > deadline)
        throw new Error(`${what} did not come; got ${JSON.stringify(this.#shown())}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 500);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  #shown(): string {
    return this.#received.toString('latin1').slice(0, 500);
  }
}

function parse(bytes: Buffer, ending: Ending | null): Heard & { bytes: number } {
  const headEnd = bytes.indexOf('\r\n\r\n');
  const head = headEnd === -1 ? '' : bytes.toString('latin1', 0, headEnd);
  const [, code] = /^HTTP\/1\.1 (\d{3}) /.exec(head) ?? [];
  if (code === undefined)
    return { status: null, headers: {}, body: bytes, isWhole: false, ending, bytes: bytes.length };
  const headers = headersIn(head);
  const start = headEnd + 4;
  const isBodiless = /^(1\d\d|204|304)$/.test(code);
  const length = isBodiless ? 0 : Number(headers['content-length'] ?? Number.NaN);
  const body = bytes.subarray(start, Number.isNaN(length) ? undefined : start + length);
  const isWhole = body.length === length;
  return {
    status: Number(code),
    headers,
    body,
    isWhole,
    ending: isWhole ? null : ending,
    bytes: start + body.length,
  };
}

function headersIn(head: string): Record<string, string> {
  const lines = head.split('\r\n').slice(1);
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf(':');
      return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()];
    }),
  );
}
