// http/forms/chunk-form.test.ts: what is kept of a form after the memory of its bytes has been given back.
import { describe, expect, it } from 'vitest';
import { AppError } from '../../../src/core/errors.ts';
import { ChunkForm } from '../../../src/http/forms/chunk-form.ts';
import { MultipartReader } from '../../../src/http/forms/multipart-reader.ts';
import { BOUNDARY, chunkParts, formOf } from '../../helpers/multipart.ts';

const LIMITS = { maxParts: 100, maxPartHeaderBytes: 16 * 1024 };
const CHUNK = {
  fileId: 'ein Käse 🧀',
  chunkIndex: 3,
  totalChunks: 17,
  bytes: Buffer.from('bytes of the file'),
};

/** Each batch is freed, like a network buffer, as soon as the form has said what it needs of it. */
function readInBatches(batches: readonly Buffer[]): ChunkForm {
  const form = new ChunkForm(1_000);
  const reader = new MultipartReader(BOUNDARY, LIMITS, form);
  for (const batch of batches) {
    const memory = Buffer.copyBytesFrom(batch);
    reader.push(memory);
    form.takeQueued();
    memory.fill(0xff);
  }
  reader.end();
  return form;
}

describe('a form whose memory is freed as it is read', () => {
  const { body } = formOf(chunkParts(CHUNK));
  const { fileId, chunkIndex, totalChunks } = CHUNK;
  const expected = { fileId, chunk: { chunkIndex, totalChunks } };

  it('says the same wherever it is cut', () => {
    for (let cut = 0; cut <= body.length; cut += 1) {
      const form = readInBatches([body.subarray(0, cut), body.subarray(cut)]);
      expect(form.complete(), `cut at ${cut}`).toEqual(expected);
      expect(form.digest.bytes).toBe(CHUNK.bytes.length);
    }
  });

  it('says the same when it comes byte by byte', () => {
    expect(readInBatches([...body].map((byte) => Buffer.from([byte]))).complete()).toEqual(expected);
  });
});

describe('a form without its file part', () => {
  const [, ...fields] = chunkParts(CHUNK);
  const messageOf = (body: Buffer): string => {
    try {
      readInBatches([body]).complete();
    } catch (error) {
      if (error instanceof AppError) return error.message;
    }
    return 'it was taken';
  };

  it('is told which one is missing', () => {
    expect(messageOf(formOf(fields).body)).toBe('file: missing; a chunk needs this form part');
  });

  it('is told of a part whose name could not be read, too', () => {
    // As some senders write it: the line feed of the filename stands in the header.
    const { body } = formOf([...fields, { name: 'file', value: 'bytes', filename: 'line\nbreak' }]);
    expect(messageOf(body)).toContain('a part came without a name: look at its Content-Disposition');
  });
});
