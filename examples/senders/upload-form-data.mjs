// upload-form-data.mjs: node:http and the package form-data. The form is piped, so it is not held in memory, and it has no
// Content-Length (chunked transfer coding). Sends FILE in chunks under FILE_ID. Run it again after any failure: it continues where
// the server is.
//   URL=http://127.0.0.1:4310 API_KEY=demo node upload-form-data.mjs FILE FILE_ID
import { createReadStream, statSync } from 'node:fs';
import { request } from 'node:http';
import { json } from 'node:stream/consumers';
import FormData from 'form-data';

const [path, fileId] = process.argv.slice(2);
const { URL: url, API_KEY: apiKey, CHUNK_BYTES = 8 * 1024 * 1024 } = process.env;
const chunkBytes = Number(CHUNK_BYTES); // It must be the same on every run.

async function call(target, form) {
  const headers = { 'X-API-Key': apiKey, ...form?.getHeaders() };
  const sent = request(url + target, { method: form === undefined ? 'GET' : 'POST', headers });
  const answered = new Promise((resolve, reject) => sent.on('response', resolve).on('error', reject));
  if (form === undefined) sent.end();
  else form.pipe(sent);
  const response = await answered;
  const body = await json(response);
  if (response.statusCode >= 300) throw new Error(`${response.statusCode} ${JSON.stringify(body)}`);
  console.log(JSON.stringify(body));
  return body.data;
}

/** An empty file has nothing to stream. */
function bytesOf(start, end) {
  return start === end ? Buffer.alloc(0) : createReadStream(path, { start, end: end - 1 });
}

const { size } = statSync(path);
const totalChunks = Math.max(1, Math.ceil(size / chunkBytes)); // An empty file is one empty chunk.
const { currentSize } = await call(`/media/chunks?fileId=${encodeURIComponent(fileId)}`);
if (currentSize !== size && (currentSize > size || currentSize % chunkBytes !== 0))
  throw new Error(`${fileId} was begun with another file or chunk size`);
for (let index = Math.ceil(currentSize / chunkBytes); index < totalChunks; index += 1) {
  const form = new FormData();
  form.append('chunkIndex', index);
  form.append('totalChunks', totalChunks);
  form.append('fileId', fileId);
  const start = index * chunkBytes;
  form.append('file', bytesOf(start, Math.min(start + chunkBytes, size)), { filename: 'chunk' });
  await call('/media/chunks', form);
}
