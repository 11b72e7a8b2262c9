// routes/replies-steps.ts: a form to send, and what a refusal looks like.
import { chunkParts, formOf } from '../../helpers/multipart.ts';

export const { contentType, body: chunk } = formOf(
  chunkParts({ fileId: 'f', chunkIndex: 0, totalChunks: 1, bytes: Buffer.from('x') }),
);
