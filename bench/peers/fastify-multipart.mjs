// bench/peers/fastify-multipart.mjs <folder>: the same route as ours, written with the usual plugin: Fastify,
// @fastify/multipart, and each file part piped to the end of the upload's file. Streaming, nothing in memory.
//
// Fairness: the plugin's limits are lifted, its parsing is the default. Nothing is checked, logged, remembered or synced.
// Needs the fields before the file, as our `fields first` order has them.
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import multipart from '@fastify/multipart';
import Fastify from 'fastify';
import { announce, folder, stored } from './announce.mjs';

const app = Fastify({ logger: false, bodyLimit: Number.MAX_SAFE_INTEGER });
await app.register(multipart, { limits: { fileSize: Infinity } });
app.post('/media/chunks', async (request) => {
  const fields = {};
  for await (const part of request.parts()) {
    if (part.type === 'field') fields[part.fieldname] = part.value;
    else await pipeline(part.file, createWriteStream(join(folder, fields.fileId), { flags: 'a' }));
  }
  return stored(Number(fields.chunkIndex));
});
await app.listen({ port: 0, host: '127.0.0.1' });
announce(app.server);
