// bench/peers/tus.mjs <folder>: @tus/server with @tus/file-store, both with their defaults: in-memory locks, an info file
// beside each upload. It speaks tus 1.0: POST creates an upload, PATCH appends at Upload-Offset, the body raw.
//
// Fairness: no hooks, no limits, no expiry, no logs (its `debug` is off unless asked for); it syncs nothing.
import { createServer } from 'node:http';
import { FileStore } from '@tus/file-store';
import { Server } from '@tus/server';
import { announce, folder } from './announce.mjs';

const tus = new Server({
  path: '/files',
  relativeLocation: true,
  datastore: new FileStore({ directory: folder }),
});
announce(createServer((request, response) => void tus.handle(request, response)));
