// clients.generators.ts: clients that generators make from the unchanged openapi.yaml, with default options, do a whole upload:
// bytes, status, refusals, finalise, direct upload.
import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, inject, it, type TestContext } from 'vitest';
import { startProcess, type ServerProcess } from '../helpers/process.ts';
import type { Exchange } from '../../src/journal/exchange.ts';
import { GENERATORS, type Generator } from './generators.ts';
import type {} from './global-setup.ts';
import { HOME, ROOT, run } from './toolbox.ts';

const DOCUMENT = join(ROOT, 'openapi.yaml');
/** A number that does not fit into 32 bits: the contract's own example of a limit. */
const LARGE = 5 * 1024 ** 3;
const FILE_ID = 'gen 1+é & 100%';
/** Every possible byte, and lengths that are not multiples of anything. */
const CHUNKS = [1024, 1531, 7].map((length) =>
  Buffer.from(Array.from({ length }, (_, at) => (at * 7) % 256)),
);
const CLIP = Buffer.concat(CHUNKS);

function skipUnlessThere({ tools }: Generator, context: TestContext): void {
  const missing = tools.map((tool) => inject('missing')[tool]).find((reason) => reason !== null);
  if (missing !== undefined) context.skip(`there is no ${missing}`);
}

async function filesIn(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const [index, bytes] of CHUNKS.entries()) await writeFile(join(folder, `${index}.bin`), bytes);
  await writeFile(join(folder, 'clip.mp4'), CLIP);
  return folder;
}

/** Answers with numbers beyond 32 bits, which a small test cannot cause. */
function largeRules() {
  const status = { success: true, data: { exists: true, currentSize: LARGE, fileId: 'large' } };
  const refusal = {
    success: false,
    message: 'The file would be larger than one upload may be',
    error: 'upload_too_large',
    details: { maxBytes: LARGE, currentSize: 0 },
    requestId: 'req-1',
  };
  const answer = (code: number, body: object) => ({
    effect: 'status',
    phase: 'headers',
    status: code,
    body: JSON.stringify(body),
  });
  return [
    { match: { operation: 'getUploadStatus', fileId: 'large' }, fault: answer(200, status) },
    {
      match: { operation: 'uploadChunk', fileId: 'too-large' },
      fault: { ...answer(413, refusal), phase: 'pre-commit' },
    },
  ];
}

function adminOf({ adminUrl }: ServerProcess, key: string) {
  return async (path: string, json?: unknown): Promise<Response> => {
    const answer = await fetch(`${adminUrl}/${path}`, {
      headers: { 'X-API-Key': key },
      ...(json === undefined ? {} : { method: 'POST', body: JSON.stringify(json) }),
    });
    expect(answer.ok, `${path} ${answer.status}`).toBe(true);
    return answer;
  };
}

describe.each(GENERATORS)('the client of $name', (generator) => {
  it('uploads in chunks, reads every refusal, finalises and uploads directly, and keeps the contract', async (context) => {
    skipUnlessThere(generator, context);
    const [command, ...argv] = await generator.build(DOCUMENT);
    const server = await startProcess(['--storage', 'memory']);
    const key = randomUUID();
    const admin = adminOf(server, key);
    await admin('rules', largeRules());
    const files = await filesIn(join(HOME, 'files'));
    const told = JSON.parse(
      await run(command, [...argv, server.url, key, files, FILE_ID], { env: { LC_ALL: 'C.UTF-8' } }),
    ) as {
      finalised: { id: string };
      direct: string;
    };
    const { finalised, direct } = told;
    expect(told).toEqual({
      unknown: { exists: false, currentSize: 0 },
      received: 0,
      refused: { status: 409, error: 'chunk_out_of_order', expectedChunkIndex: 1, currentSize: 1024 },
      complete: FILE_ID,
      stored: CLIP.length,
      finalised: {
        id: expect.stringMatching(/^[0-9a-f]{24}$/),
        message: 'Video uploaded',
        platforms: ['youtube'],
      },
      again: finalised.id,
      direct: expect.stringMatching(/^[0-9a-f]{24}$/),
      title: 'Direct',
      missing: { status: 404, error: 'media_not_found' },
      channels: expect.arrayContaining([expect.any(String)]),
      profiles: expect.arrayContaining([expect.any(String)]),
      large: LARGE,
      tooLarge: { status: 413, error: 'upload_too_large', maxBytes: LARGE },
    });
    expect(direct).not.toBe(finalised.id);
    for (const path of [`media/${finalised.id}/content`, `media/${direct}/content`]) {
      const stored = Buffer.from(await (await admin(path)).arrayBuffer());
      expect(stored.equals(CLIP), `${path}: ${stored.length} bytes, not those that were sent`).toBe(true);
    }
    const { requests } = (await (await admin('requests')).json()) as { requests: Exchange[] };
    expect(requests.flatMap(({ contract }) => [...contract.request, ...contract.response])).toEqual([]);
  });
});
