// exchange/connections.ts: the facts that the journal records of a connection and of a request's head: the number of the
// connection, the count of its exchanges, the order in which heads were read, and a mark that tells heads apart.
import { hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Connection } from '../journal/exchange.ts';

/** Numbers connections, and the exchanges on each. */
export class Connections {
  readonly #known = new WeakMap<Socket, { id: number; exchanges: number }>();
  #lastId: number;

  /** @param lastId the last number that an earlier process gave out */
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

/**
 * Numbers requests in the order in which their heads were read. `count` says which exchanges were over at a moment; a clock
 * could not.
 */
export class Beginnings {
  #count: number;

  /** @param count the last number that an earlier process gave out */
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
