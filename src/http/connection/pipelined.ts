// http/connection/pipelined.ts: handles requests that a client sends without waiting for earlier answers (RFC 9112 §9.3.2) in
// order.
//
// Node hands each request to its route as soon as its head has been read, while an earlier request may still be at work. A
// status query behind a chunk would then be answered as if the chunk had not come. The RFC allows a server to process pipelined
// requests in parallel only if all of them are safe, so each request here begins when the request before it is over.
//
// Promises: the number of waiting requests is bounded. Node does not bound it, because Node limits only the answers that are
// ready to be sent. A request whose connection ended before its turn is not begun, because nobody would get its answer.
// Must not know: what the requests ask for.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** The most requests that may wait on one connection; one more ends the connection. Real clients never pipeline so many. */
const MAX_WAITING = 100;

interface Line {
  /** The responses that have not been sent completely, in order. */
  readonly open: ServerResponse[];
  waiting: number;
}

export class Pipelined {
  readonly #lines = new WeakMap<Socket, Line>();

  /**
   * Calls back when every earlier request of the connection has been answered. Never calls back when the connection ends first.
   */
  inOrder({ socket }: IncomingMessage, response: ServerResponse, begin: () => void): void {
    const line = this.#lines.get(socket) ?? { open: [], waiting: 0 };
    this.#lines.set(socket, line);
    const before = line.open.at(-1);
    line.open.push(response);
    response.once('close', () => line.open.splice(line.open.indexOf(response), 1));
    if (before === undefined || before.writableFinished) return beginIfOpen(socket, begin);
    if (line.waiting >= MAX_WAITING) return void socket.destroy();
    line.waiting += 1;
    before.once('close', () => {
      line.waiting -= 1;
      beginIfOpen(socket, begin);
    });
  }

  /**
   * To be called when nothing more can be read from the connection. Calls back when every complete request has been answered,
   * unless the connection ends first. The callback gets the response of the incomplete request, or null.
   */
  behindWhole(socket: Socket, then: (broken: ServerResponse | null) => void): void {
    const open = this.#lines.get(socket)?.open ?? [];
    const last = open.at(-1) ?? null;
    const broken = last?.req.complete === false ? last : null;
    const before = open.at(broken === null ? -1 : -2);
    if (before === undefined || before.writableFinished) return then(broken);
    before.once('close', () => beginIfOpen(socket, () => then(broken)));
  }
}

function beginIfOpen(socket: Socket, begin: () => void): void {
  if (socket.writable) begin();
}
