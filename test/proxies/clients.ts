// clients.ts: sends one request over HTTP/1.1 or HTTP/2, and says in a few words what its sender met.
//
// Promises: nothing is sent again. A request is over when its answer is complete, when it broke off, or when the signal says so.
import { Agent, request as plainRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { connect, type ClientHttp2Session } from 'node:http2';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';

export type Protocol = 'HTTP/1.1' | 'HTTP/2';

export interface Target {
  readonly url: string;
  readonly ca?: Buffer;
}

export interface Sending {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface Met {
  /** Null: no answer. */
  readonly status: number | null;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
  /** `whole`, or how it ended instead: `FIN`, `RST`, `RST_STREAM`, `refused`, `no HTTP`, `silence` (this side left). */
  readonly ending: string;
}

export interface Client {
  send(sending: Sending, signal?: AbortSignal): Promise<Met>;
  /** Sends the head and half of the body. Resolves, when that is on its way, to what leaves then, as one who is killed. */
  sendHalf(sending: Sending): Promise<() => void>;
  /** Whether its connection could take another request. */
  isOpen(): boolean;
  close(): void;
}

const NOTHING = { status: null, headers: {}, body: Buffer.alloc(0) };

/** A connection of its own. */
export function clientOf(protocol: Protocol, target: Target): Client {
  return protocol === 'HTTP/2' ? http2Client(target) : http1Client(target);
}

function http1Client({ url, ca }: Target): Client {
  const options = { keepAlive: true, maxSockets: 1 };
  const agent = url.startsWith('https:') ? new TlsAgent({ ...options, ca }) : new Agent(options);
  const request = url.startsWith('https:') ? tlsRequest : plainRequest;
  const begin = ({ method, path, headers, body }: Sending, signal?: AbortSignal): ClientRequest => {
    const length = method === 'POST' ? { 'content-length': String(body.length) } : {};
    const { hostname, port } = new URL(url);
    return request({ hostname, port, path, agent, method, headers: { ...headers, ...length }, signal });
  };
  return {
    send: (sending, signal) =>
      new Promise((resolve) => {
        const sent = begin(sending, signal);
        meet(sent, (met) => resolve(signal?.aborted === true ? { ...met, ending: 'silence' } : met));
        sent.end(sending.body);
      }),
    sendHalf: (sending) =>
      new Promise((resolve, reject) => {
        // This side breaks off.
        const sent = begin(sending).on('error', reject);
        sent.write(firstHalf(sending), () => resolve(() => void sent.destroy()));
      }),
    isOpen: () => Object.values(agent.freeSockets).flat().length > 0,
    close: () => agent.destroy(),
  };
}

function firstHalf({ body }: Sending): Buffer {
  return body.subarray(0, Math.floor(body.length / 2));
}

function meet(sent: ClientRequest, resolve: (met: Met) => void): void {
  let isAnswered = false;
  sent.on('error', (error) => {
    // After an answer's head the answer says how it ended.
    if (!isAnswered) resolve({ ...NOTHING, ending: endingOf(error) });
  });
  sent.on('response', (answer: IncomingMessage) => {
    isAnswered = true;
    const pieces: Buffer[] = [];
    const met = (ending: string): void =>
      resolve({
        status: answer.statusCode ?? null,
        headers: answer.headers,
        body: Buffer.concat(pieces),
        ending,
      });
    answer
      .on('data', (piece: Buffer) => pieces.push(piece))
      .on('end', () => met('whole'))
      .on('error', () => met('cut'));
  });
}

/** Node calls a FIN before the answer `socket hang up`, and gives it the code of an RST. */
function endingOf({ code = '', message }: NodeJS.ErrnoException): string {
  if (code.startsWith('HPE_')) return 'no HTTP';
  if (code === 'ECONNREFUSED') return 'refused';
  if (message === 'socket hang up') return 'FIN';
  return code === 'ECONNRESET' || code === 'EPIPE' ? 'RST' : code;
}

function http2Client({ url, ca }: Target): Client {
  const session = connect(url, { ca });
  // Of the session's end each of its streams hears by itself.
  session.on('error', () => undefined);
  return {
    send: (sending, signal) => sendStream(session, sending, signal),
    sendHalf: (sending) =>
      new Promise((resolve) => {
        const stream = session.request(headOf(sending)).on('error', () => undefined);
        stream.write(firstHalf(sending), () => resolve(() => session.destroy()));
      }),
    isOpen: () => !session.closed && !session.destroyed,
    close: () => session.destroy(),
  };
}

function headOf({ method, path, headers }: Sending): Record<string, string> {
  return { ':method': method, ':path': path, ...headers };
}

function sendStream(session: ClientHttp2Session, sending: Sending, signal?: AbortSignal): Promise<Met> {
  return new Promise((resolve) => {
    const { method, body } = sending;
    const stream = session.request(headOf(sending), { endStream: method === 'GET' });
    const pieces: Buffer[] = [];
    let heard: Pick<Met, 'status' | 'headers'> = NOTHING;
    let isWhole = false;
    signal?.addEventListener('abort', () => stream.close(8 /* CANCEL */));
    stream
      .on('response', (answer) => {
        heard = { status: answer[':status'] ?? null, headers: answer };
      })
      .on('data', (piece: Buffer) => pieces.push(piece))
      .on('end', () => (isWhole = true))
      // `close` follows, with the code.
      .on('error', () => undefined)
      .on('close', () => {
        const ended = stream.rstCode === 0 && isWhole ? 'whole' : `RST_STREAM ${stream.rstCode}`;
        const ending = signal?.aborted === true ? 'silence' : ended;
        resolve({ ...heard, body: Buffer.concat(pieces), ending });
      });
    if (method === 'POST') stream.end(body);
  });
}
