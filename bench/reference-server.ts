// bench/reference-server.ts: bare node:http without any of our promises, to compare with: `discard` reads every body and
// keeps nothing, `pipe <folder>` appends it as it comes, form and all, to a file for each connection and syncs nothing.
//
// Promises: answers as for a stored chunk, so that the same load runs against it.
import { createWriteStream } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

interface Sender {
  readonly number: number;
  chunks: number;
}

const [, , kind = 'discard', folder = '.'] = process.argv;
/** By connection: each has an upload of its own, in order. */
const senders = new WeakMap<Socket, Sender>();
let connections = 0;

const server = createServer((request, response) => {
  receive(request, response).catch((error: Error) => {
    process.stderr.write(`${error.message}\n`);
    request.destroy();
  });
});
server.on('connection', (socket: Socket) => {
  connections += 1;
  senders.set(socket, { number: connections, chunks: 0 });
});

async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const sender = senders.get(request.socket) ?? { number: 0, chunks: 0 };
  if (kind === 'pipe') {
    await pipeline(request, createWriteStream(join(folder, String(sender.number)), { flags: 'a' }));
  } else {
    for await (const _ of request) continue;
  }
  const data = { completed: false, chunkIndex: sender.chunks };
  sender.chunks += 1;
  const body = JSON.stringify({ success: true, data, message: 'Chunk received' });
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}`, pid: process.pid })}\n`);
});
process.once('SIGTERM', () => process.exit(0));
