// routes/chunk-steps.ts: how the tests of chunks post a form.
import { ask, type Answer, type TestServer } from '../../helpers/app.ts';
import { formOf, type Part } from '../../helpers/multipart.ts';

export const CHUNK = { fileId: 'f', chunkIndex: 0, totalChunks: 1, bytes: Buffer.from('bytes') };

export function post(server: TestServer, parts: readonly Part[], key?: string): Promise<Answer> {
  const { contentType, body } = formOf(parts);
  return ask(server, '/media/chunks', {
    method: 'POST',
    headers: { 'content-type': contentType },
    body,
    ...(key === undefined ? {} : { key }),
  });
}
