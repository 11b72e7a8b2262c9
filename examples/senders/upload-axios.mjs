// upload-axios.mjs: axios. Sends FILE in chunks under FILE_ID. Run it again after any failure: it continues where the server is.
//   URL=http://127.0.0.1:4310 API_KEY=demo node upload-axios.mjs FILE FILE_ID
import { openAsBlob } from 'node:fs';
import axios from 'axios';

const [path, fileId] = process.argv.slice(2);
const { URL: baseURL, API_KEY: apiKey, CHUNK_BYTES = 8 * 1024 * 1024 } = process.env;
const chunkBytes = Number(CHUNK_BYTES); // It must be the same on every run.

const client = axios.create({ baseURL, headers: { 'X-API-Key': apiKey } });
client.interceptors.response.use(
  ({ data: { data, ...rest } }) => {
    console.log(JSON.stringify({ ...rest, data }));
    return data;
  },
  (error) => {
    // The message of axios is only "status code 409"; the answer says what is wrong.
    throw new Error(`${error.message}: ${JSON.stringify(error.response?.data)}`);
  },
);

const file = await openAsBlob(path);
const totalChunks = Math.max(1, Math.ceil(file.size / chunkBytes)); // An empty file is one empty chunk.
const { currentSize } = await client.get('/media/chunks', { params: { fileId } });
if (currentSize !== file.size && (currentSize > file.size || currentSize % chunkBytes !== 0))
  throw new Error(`${fileId} was begun with another file or chunk size`);
for (let index = Math.ceil(currentSize / chunkBytes); index < totalChunks; index += 1) {
  const form = new FormData();
  form.set('chunkIndex', index);
  form.set('totalChunks', totalChunks);
  form.set('fileId', fileId);
  form.set('file', file.slice(index * chunkBytes, (index + 1) * chunkBytes), 'chunk');
  await client.post('/media/chunks', form);
}
