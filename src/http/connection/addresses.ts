// http/connection/addresses.ts: where a server listens, and who can reach that.
//
// Must not know: what is served.
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** `http://host:port`, with the port that was really taken. */
export function urlOf(app: FastifyInstance): string {
  const { address, port } = app.server.address() as AddressInfo;
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
}
