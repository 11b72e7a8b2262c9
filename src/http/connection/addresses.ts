// http/connection/addresses.ts: the address at which a server listens.
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** `http://host:port`, with the port that the kernel assigned when the configured port is 0. */
export function urlOf(app: FastifyInstance): string {
  const { address, port } = app.server.address() as AddressInfo;
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
}
