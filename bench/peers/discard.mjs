// bench/peers/discard.mjs: bare node:http that reads every body and keeps nothing: what Node, loopback and the client can
// do at most on this machine, at this moment.
import { createServer } from 'node:http';
import { announce, stored } from './announce.mjs';

/** By connection: each has an upload of its own, in order. */
const chunksOf = new WeakMap();

announce(
  createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      const index = chunksOf.get(request.socket) ?? 0;
      chunksOf.set(request.socket, index + 1);
      const body = JSON.stringify(stored(index));
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
      response.end(body);
    });
  }),
);
