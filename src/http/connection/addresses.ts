// http/connection/addresses.ts: where a server listens, and who can reach that.
//
// Must not know: what is served.
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** Whether only this machine reaches it. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** `http://host:port`, with the port that was really taken. */
export function urlOf(app: FastifyInstance): string {
  const { address, port } = app.server.address() as AddressInfo;
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
}
