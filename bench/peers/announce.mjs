// bench/peers/announce.mjs: what every peer does around its one job.
//
// Promises: listens on a free port of the loopback address, prints one line of JSON once it can be asked, and ends with 0
// on SIGTERM, at once. The folder to store in is the first argument; it is empty, and on the filesystem of every other's.
import { createServer } from 'node:http';

export const folder = process.argv[2] ?? '.';

/** @param {import('node:net').Server} server that listens or is about to */
export function announce(server) {
  const print = () => {
    const { port } = server.address();
    process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}`, pid: process.pid })}\n`);
  };
  if (server.listening) print();
  else server.listen(0, '127.0.0.1', print);
  process.once('SIGTERM', () => process.exit(0));
}

/** A server whose requests end with their connection when `receive` throws. */
export function receiving(receive) {
  return createServer((request, response) => {
    receive(request, response).catch((error) => {
      process.stderr.write(`${error.message}\n`);
      request.destroy();
    });
  });
}

/** By connection: each has an upload of its own, in order. */
const chunksOf = new WeakMap();

/** As for the next chunk of this connection, so that a client of our server can run against who knows no fields. */
export function answerNext(request, response) {
  const index = chunksOf.get(request.socket) ?? 0;
  chunksOf.set(request.socket, index + 1);
  answerStored(response, index);
}

export function answerStored(response, chunkIndex) {
  const body = JSON.stringify(stored(chunkIndex));
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}

/** The answer that our server gives to a stored chunk, so that every form server answers the same bytes. */
export function stored(chunkIndex) {
  return { success: true, data: { completed: false, chunkIndex }, message: 'Chunk received' };
}
