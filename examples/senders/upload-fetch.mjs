// upload-fetch.mjs: Node's own fetch, without packages. Sends FILE in chunks under FILE_ID. Run it again after any failure: it
// continues where the server is. ../uploader.mjs also has retries, time-outs and the finalise call.
//   URL=http://127.0.0.1:4310 API_KEY=demo node upload-fetch.mjs FILE FILE_ID
import { openAsBlob } from 'node:fs';

const [path, fileId] = process.argv.slice(2);
const { URL: url, API_KEY: apiKey, CHUNK_BYTES = 8 * 1024 * 1024 } = process.env;
const chunkBytes = Number(CHUNK_BYTES); // It must be the same on every run.

async function call(target, init) {
  const response = await fetch(url + target, { headers: { 'X-API-Key': apiKey }, ...init });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
  console.log(text);
  return JSON.parse(text).data;
}

const file = await openAsBlob(path);
const totalChunks = Math.max(1, Math.ceil(file.size / chunkBytes)); // An empty file is one empty chunk.
const { currentSize } = await call(`/media/chunks?fileId=${encodeURIComponent(fileId)}`);
if (currentSize !== file.size && (currentSize > file.size || currentSize % chunkBytes !== 0))
  throw new Error(`${fileId} was begun with another file or chunk size`);
for (let index = Math.ceil(currentSize / chunkBytes); index < totalChunks; index += 1) {
  const body = new FormData();
  body.set('chunkIndex', index);
  body.set('totalChunks', totalChunks);
  body.set('fileId', fileId);
  body.set('file', file.slice(index * chunkBytes, (index + 1) * chunkBytes), 'chunk');
  await call('/media/chunks', { method: 'POST', body });
}
