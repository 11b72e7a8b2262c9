// exchange/connections.ts: what the journal says of a connection and of a request's head: the connection's number, how many exchanges it
// had, in which order heads were read, and what tells one head from another.
import { hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Connection } from '../journal/exchange.ts';

/** Numbers connections, and the exchanges on each. */
export class Connections {
  readonly #known = new WeakMap<Socket, { id: number; exchanges: number }>();
  #lastId: number;

  /** @param lastId given out by another process */
  constructor(lastId = 0) {
    this.#lastId = lastId;
  }

  next(socket: Socket): Connection {
    const connection = this.#known.get(socket) ?? { id: (this.#lastId += 1), exchanges: 0 };
    this.#known.set(socket, connection);
    connection.exchanges += 1;
    return { id: connection.id, exchange: connection.exchanges, reused: connection.exchanges > 1 };
  }
}

/** Numbers requests in the order in which their heads were read. What was over by then is told by `count`, not by a clock. */
export class Beginnings {
  #count: number;

  /** @param count given out by another process */
  constructor(count = 0) {
    this.#count = count;
  }

  /** The last number given out; 0: none. */
  get count(): number {
    return this.#count;
  }

  next(): number {
    this.#count += 1;
    return this.#count;
  }
}

/** Equal for two requests whose heads are the same byte for byte. */
export function headMarkOf(request: IncomingMessage): string {
  return hash('sha1', request.rawHeaders.join('\n'), 'base64');
}
