// bench/peers/pipe.mjs <folder>: the floor: bare node:http; a body is piped as it comes to the end of the file that the
// last part of the path names. No parsing, no checks, no syncs, no log: what Node itself costs.
//
// Promises: answers as for a stored chunk, counted per connection, so that a client of our server can run against it.
import { createWriteStream } from 'node:fs';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { announce, answerNext, folder, receiving } from './announce.mjs';

async function receive(request, response) {
  const path = join(folder, basename(request.url));
  await pipeline(request, createWriteStream(path, { flags: 'a' }));
  answerNext(request, response);
}

announce(receiving(receive));
