// helpers/wire.ts: one HTTP connection as its client meets it: what came of each answer, and whether the connection ended
// with FIN or with RST.
//
// Promises: nothing waits longer than DEADLINE_MS; it goes on sending after the server's FIN, as a client does that is in
// the middle of a body; connections that a test leaves open are closed by `closeWires`.
import { connect, type Socket } from 'node:net';
import { afterEachTest } from './after-each-test.ts';
import { DEADLINE_MS } from './raw.ts';

export type Ending = 'FIN' | 'RST';

/** An answer, or what came of it. */
export interface Heard {
  /** Null: no whole head came, or what came is no HTTP. */
  readonly status: number | null;
  readonly headers: Readonly<Record<string, string>>;
  /** Of the answer's body; without a head, all that came. */
  readonly body: Buffer;
  /** All that `Content-Length` promised, or a status that has no body. */
  readonly isWhole: boolean;
  /** How the connection ended; null: it is open, or was when the answer was whole. */
  readonly ending: Ending | null;
}

const opened = new Set<Wire>();

afterEachTest(closeWires);

function closeWires(): void {
  for (const wire of opened) wire.leave();
  opened.clear();
}

export class Wire {
  /** Of all `send`s; less while the server does not read. */
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

  /** The next answer, or what came of it until the connection ended. */
  async hear(): Promise<Heard> {
    return this.#until('an answer', () => {
      const heard = parse(this.#received, this.#ending);
      if (!heard.isWhole && this.#ending === null) return undefined;
      this.#received = this.#received.subarray(heard.bytes);
      return heard;
    });
  }

  /** As `hear`, without waiting for more. */
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

  /** As a client that is killed. */
  leave(): void {
    opened.delete(this);
    this.#socket.destroy();
  }

  /** As `leave`, with an RST. */
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
   * Node reports an RST that comes together with bytes as the end that a FIN is. The kernel knows better: even a write of
   * no bytes fails after an RST; with EPIPE if there had been a FIN before it.
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
