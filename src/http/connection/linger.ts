// http/connection/linger.ts: lets a client read an answer that was sent before its body had ended.
//
// A server that closes a socket with unread bytes sends RST, and the client may lose the answer. So the whole answer is sent
// first, then the rest of the body is read and dropped, then the exchange ends (rule C13, §7). The work is bounded: a client
// with more than `limitBytes` left is told `Connection: close`, is read up to that limit, and is then cut off.
// Promises: on a connection that stays open, the next request is read from its first byte.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { awakeMs, startTimeout } from '../../core/awake.ts';

export interface LingerLimits {
  readonly limitBytes: number;
  /** A client that sends nothing for this long has stopped sending. */
  readonly silenceMs: number;
}

/** Responses whose complete answer was handed to the kernel although they have not ended. */
const answered = new WeakSet<ServerResponse>();

/** Whether the complete answer was handed over. A client that has read the answer may leave before its own body has ended. */
export function isAnswered(response: ServerResponse): boolean {
  return response.writableFinished || answered.has(response);
}

/** To be called before the answer's headers are written. Does nothing when the body is complete. */
export function lingerAfter(request: IncomingMessage, response: ServerResponse, limits: LingerLimits): void {
  if (request.complete || !hasBody(request)) return;
  const declared = Number(request.headers['content-length'] ?? Number.POSITIVE_INFINITY);
  const mustClose = declared > limits.limitBytes;
  if (mustClose) response.setHeader('connection', 'close');
  const end = response.end.bind(response);
  response.end = ((body?: unknown) => {
    const onWritten = (error: Error | null | undefined): void => {
      if (error === null || error === undefined) answered.add(response);
    };
    if (typeof body === 'string' || body instanceof Uint8Array) response.write(body, onWritten);
    void drained(request, limits).then((isWhole) => {
      end();
      if (!isWhole) request.socket.destroySoon();
    });
    return response;
  }) as typeof response.end;
}

function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length'];
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/** Reads and drops the rest of the body. Resolves to true when the body came to its end. */
function drained(request: IncomingMessage, limits: LingerLimits): Promise<boolean> {
  return new Promise((resolve) => {
    let bytes = 0;
    let heardMs = awakeMs();
    const stop = (isWhole: boolean): void => {
      timer.stop();
      request.off('data', onData);
      resolve(isWhole);
    };
    const timer = startTimeout(
      limits.silenceMs,
      () => stop(false),
      () => heardMs,
    );
    const onData = (piece: Buffer): void => {
      bytes += piece.length;
      heardMs = awakeMs();
      if (bytes > limits.limitBytes) stop(false);
    };
    request
      .on('data', onData)
      .once('end', () => stop(true))
      .once('close', () => stop(request.complete));
    request.resume();
  });
}
