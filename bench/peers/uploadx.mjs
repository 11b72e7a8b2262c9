// bench/peers/uploadx.mjs <folder>: @uploadx/core on bare node:http with its disk storage and its defaults: it keeps a
// file of metadata beside each upload. It speaks its own protocol: POST creates an upload, PUT with Content-Range stores
// a range of it, the body raw; 308 while it is not whole.
//
// Fairness: no hooks, no checksums asked for, no expiry; it logs nothing unless given a level, and syncs nothing.
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { DiskStorage, uploadx } from '@uploadx/core';
import { announce, folder } from './announce.mjs';

const POLL_MS = 5;

const storage = new DiskStorage({ uploadDir: folder, maxFileSize: '1000TB', useRelativeLocation: true });
// Until it has looked at its folder it answers everything with 503.
while (!storage.isReady) await delay(POLL_MS);
announce(createServer(uploadx({ storage })));
