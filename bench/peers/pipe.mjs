// bench/peers/pipe.mjs <folder>: the floor: bare node:http; a body is piped as it comes to the end of the file that the
// last part of the path names. No parsing, no checks, no syncs, no log: what Node itself costs.
//
// Promises: answers as for a stored chunk, counted per connection, so that a client of our server can run against it.
import { createWriteStream } from 'node:fs';
import { createServer } from 'node:http';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { announce, folder, stored } from './announce.mjs';

/** By connection: each has an upload of its own, in order. */
const chunksOf = new WeakMap();

async function receive(request, response) {
  const path = join(folder, basename(request.url));
  await pipeline(request, createWriteStream(path, { flags: 'a' }));
  const index = chunksOf.get(request.socket) ?? 0;
  chunksOf.set(request.socket, index + 1);
  const body = JSON.stringify(stored(index));
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}

announce(
  createServer((request, response) => {
    receive(request, response).catch((error) => {
      process.stderr.write(`${error.message}\n`);
      request.destroy();
    });
  }),
);
