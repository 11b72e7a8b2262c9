// bench/discard-server.ts: bare node:http that reads every body, keeps nothing, and answers as for a stored chunk.
//
// Promises: what the bench measures against it is the ceiling of client, loopback and Node; the server cannot be faster.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Chunks sent on this connection so far: each connection has an upload of its own, in order. */
const chunks = new WeakMap<object, number>();

const server = createServer((request, response) => {
  request.resume();
  request.once('end', () => {
    const chunkIndex = chunks.get(request.socket) ?? 0;
    chunks.set(request.socket, chunkIndex + 1);
    const body = JSON.stringify({
      success: true,
      data: { completed: false, chunkIndex },
      message: 'Chunk received',
    });
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    });
    response.end(body);
  });
});

server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}`, pid: process.pid })}\n`);
});
process.once('SIGTERM', () => process.exit(0));
