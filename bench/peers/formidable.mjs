// bench/peers/formidable.mjs <folder>: formidable on node:http: a file for each chunk, named by the fields before it.
// Streaming, as formidable does it.
//
// Fairness: its limits are lifted, no hash, no other plugins; nothing is checked, logged or synced.
import { createServer } from 'node:http';
import { join } from 'node:path';
import formidable from 'formidable';
import { announce, folder, stored } from './announce.mjs';

const LARGE = Number.MAX_SAFE_INTEGER;

async function receive(request, response) {
  const form = formidable({ uploadDir: folder, maxFileSize: LARGE, maxTotalFileSize: LARGE });
  const fields = {};
  form.on('field', (name, value) => {
    fields[name] = value;
  });
  form.on('fileBegin', (_name, file) => {
    file.filepath = join(folder, `${fields.fileId}-${fields.chunkIndex}`);
  });
  await form.parse(request);
  const body = JSON.stringify(stored(Number(fields.chunkIndex)));
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
