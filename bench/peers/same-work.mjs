// bench/peers/same-work.mjs <folder>: the floor for a server that does on one thread what ours does with the bytes of 16
// connections: bare node:http, a raw body, each piece searched for a delimiter that is not there, its CRC-32 counted, and 128 KiB
// or what is left written at once. No form, no key, no upload, no ledger, no log: what is between it and ours is ours to explain.
//
// Promises: answers as for a stored chunk, counted per connection.
import { closeSync, openSync, writevSync } from 'node:fs';
import { createServer } from 'node:http';
import { basename, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { announce, answerNext, folder } from './announce.mjs';

const BATCH_BYTES = 128 * 1024;
const SEARCH_BYTES = 8 * 1024;
const DELIMITER = Buffer.from(`\r\n--${'-'.repeat(34)}`);

function hasDelimiter(piece) {
  for (let from = 0; from < piece.length; from += SEARCH_BYTES) {
    if (piece.subarray(from, from + SEARCH_BYTES + DELIMITER.length - 1).includes(DELIMITER)) return true;
  }
  return false;
}

announce(
  createServer((request, response) => {
    const fd = openSync(join(folder, basename(request.url)), 'a');
    let batch = [];
    let bytes = 0;
    let sum = 0;
    const write = () => {
      if (batch.length > 0) writevSync(fd, batch);
      batch = [];
      bytes = 0;
    };
    request.on('data', (piece) => {
      if (hasDelimiter(piece)) throw new Error('there is a delimiter in the body');
      sum = crc32(piece, sum);
      batch.push(piece);
      bytes += piece.length;
      if (bytes >= BATCH_BYTES) write();
    });
    request.on('end', () => {
      write();
      closeSync(fd);
      answerNext(request, response);
    });
  }),
);
