// http/connection/pipelined.ts: requests that a client sends behind one another without waiting for the answers (RFC 9112 §9.3.2).
//
// Node hands each to its route as soon as its head has been read, while the one before it may be at work still. A status
// query behind a chunk would then be answered as if the chunk had not come. The RFC lets a server work on pipelined
// requests at the same time only if all of them are safe: here each begins when the one before it is over.
//
// Promises: what waits is bounded: Node holds a client back only by the answers that wait for it, and these have none yet.
// A request whose connection ended before its turn is not begun: nobody would get its answer.
// Must not know: what the requests are.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Of one connection; beyond, it is ended. Nobody pipelines so many, but to fill memory. */
const MAX_WAITING = 100;

interface Line {
  /** Those whose answers are not over, in order. */
  readonly open: ServerResponse[];
  waiting: number;
}

export class Pipelined {
  readonly #lines = new WeakMap<Socket, Line>();

  /** Calls back when every earlier request of the connection has been answered; never, where the connection ends first. */
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
   * To be called when no more can be read. Calls back when every request that came whole has been answered, unless the
   * connection ends first; with the response of the one that did not come whole, if there is one.
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
