// A file of very many very small chunks.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { startServer } from '../../../src/index.ts';
import { ask, finalize, sizeOf, temporaryFolder } from '../../helpers/app.ts';
import { fieldsFirst, formOf } from '../../helpers/multipart.ts';
import { openConnection, requestBytes } from '../../helpers/raw.ts';

function tinyChunk(content: Buffer, chunkIndex: number): Buffer {
  const bytes = content.subarray(chunkIndex, chunkIndex + 1);
  const { contentType, body } = formOf(
    fieldsFirst({ fileId: 'f', chunkIndex, totalChunks: content.length, bytes }),
  );
  return requestBytes('POST /media/chunks', { 'content-type': contentType }, body);
}

export function tinyChunks(count: number): void {
  describe('the fields of a chunk (C4)', () => {
    it(`${count} chunks of one byte each are a file like any other`, async () => {
      // The server alone: to check each of so many exchanges against the contract would take most of the time.
      const server = await startServer({
        storage: 'disk',
        dataDir: await temporaryFolder(),
        durability: 'none',
      });
      try {
        const content = Buffer.from(Array.from({ length: count }, (_, index) => index % 251));
        const connection = await openConnection(Number(new URL(server.url).port));
        for (let from = 0; from < count; from += 50) {
          const indexes = Array.from({ length: Math.min(50, count - from) }, (_, i) => from + i);
          await connection.write(Buffer.concat(indexes.map((index) => tinyChunk(content, index))));
          for (const index of indexes)
            expect((await connection.answer())?.status, `chunk ${index}`).toBe(200);
        }
        expect(await sizeOf(server)).toBe(count);
        const { status: code, body } = await finalize(server);
        expect(code).toBe(201);
        const answer = await ask(server, `/__admin/media/${body.data.id}?digest=sha256`, { key: 'k' });
        const sha256 = createHash('sha256').update(content).digest('hex');
        expect(JSON.parse(answer.text)).toMatchObject({ bytes: count, sha256 });
      } finally {
        await server.close();
      }
    });
  });
}
