// bench/peers/discard.mjs: bare node:http that reads every body and keeps nothing: what Node, loopback and the client can
// do at most on this machine, at this moment.
import { createServer } from 'node:http';
import { announce, answerNext } from './announce.mjs';

announce(
  createServer((request, response) => {
    request.resume();
    request.on('end', () => answerNext(request, response));
  }),
);
