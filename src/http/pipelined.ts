// http/pipelined.ts: requests that a client sends behind one another without waiting for the answers (RFC 9112 §9.3.2).
//
// Node hands each to its route as soon as its head has been read, while the one before it may be at work still. A status
// query behind a chunk would then be answered as if the chunk had not come. The RFC lets a server work on pipelined
// requests at the same time only if all of them are safe: here each begins when the one before it is over.
// Must not know: what the requests are.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export class Pipelined {
  readonly #last = new WeakMap<Socket, ServerResponse>();

  /** Calls back when every earlier request of the connection has been answered; never, where the connection ends first. */
  inOrder({ socket }: IncomingMessage, response: ServerResponse, begin: () => void): void {
    const before = this.#last.get(socket);
    this.#last.set(socket, response);
    if (before === undefined || before.writableFinished || before.destroyed) begin();
    else before.once('close', begin);
  }
}
