// bench/peers/formidable.mjs <folder>: formidable on node:http: a file for each chunk, named by the fields before it.
// Streaming, as formidable does it.
//
// Fairness: its limits are lifted, no hash, no other plugins; nothing is checked, logged or synced.
import { join } from 'node:path';
import formidable from 'formidable';
import { announce, answerStored, folder, receiving } from './announce.mjs';

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
  answerStored(response, Number(fields.chunkIndex));
}

announce(receiving(receive));
