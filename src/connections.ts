// connections.ts: what the journal says of a connection: its number, how many exchanges it had, and what tells one
// request's head from another's.
import { hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Connection } from './journal/exchange.ts';

/** Numbers connections, and the exchanges on each. */
export class Connections {
  readonly #known = new WeakMap<Socket, { id: number; exchanges: number }>();
  #lastId = 0;

  next(socket: Socket): Connection {
    const connection = this.#known.get(socket) ?? { id: (this.#lastId += 1), exchanges: 0 };
    this.#known.set(socket, connection);
    connection.exchanges += 1;
    return { id: connection.id, exchange: connection.exchanges, reused: connection.exchanges > 1 };
  }
}

/** Equal for two requests whose heads are the same byte for byte. */
export function headMarkOf(request: IncomingMessage): string {
  return hash('sha1', request.rawHeaders.join('\n'), 'base64');
}
