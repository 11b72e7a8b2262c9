// examples.senders.ts: each example of examples/senders, as it stands there, against a real server: every byte arrives, it
// goes on where it was interrupted, and it says what a refusal said.
import { readdirSync, readFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { describe, expect, inject, it } from 'vitest';
import {
  bytesOf,
  exchangesOf,
  fileOf,
  runExample,
  sha256,
  skipUnlessThere,
  storedUpload,
  type Run,
  type Upload,
} from './harness.ts';
import { KEY, SENDERS } from './senders.ts';

const FOLDER = new URL('../../examples/senders/', import.meta.url);
const CHUNK_BYTES = 100_000;
/** Two and a half chunks. */
const BYTES = bytesOf('an example', 250_000);

/** An id that every one of them has to encode in the query, and to leave alone in the form. */
async function uploadOf(bytes: Buffer, given: Partial<Upload> = {}): Promise<Upload> {
  const fileId = `@holiday & 100% "vidéo"; ${randomUUID()}`;
  const own = { url: inject('openUrl'), key: randomUUID(), fileId, chunkBytes: CHUNK_BYTES };
  return { path: await fileOf(bytes), ...own, ...given };
}

/** The chunks that came, each with its status. */
async function chunksOf(key: string): Promise<[index: number | null, status: number | undefined][]> {
  const chunks = (await exchangesOf(key)).filter(({ operation }) => operation === 'uploadChunk');
  return chunks.map(({ upload, response }) => [upload?.chunkIndex ?? null, response?.status]);
}

async function failNextChunk({ url, key }: Upload, chunkIndex: number): Promise<void> {
  const rule = { match: { operation: 'uploadChunk', chunkIndex }, fault: 'status@headers:503' };
  const headers = { 'X-API-Key': key, 'Content-Type': 'application/json' };
  const armed = await fetch(`${url}/__admin/rules`, { method: 'POST', headers, body: JSON.stringify(rule) });
  expect(armed.ok, await armed.text()).toBe(true);
}

function expectEnd(run: Run, hasFailed: boolean): void {
  expect(run.status !== 0, `${run.stdout}\n${run.stderr}`).toBe(hasFailed);
}

it('the page lists every example, as it says at its own top to run it', () => {
  const page = readFileSync(new URL('README.md', FOLDER), 'utf8');
  const rows = [...page.matchAll(/^\| .+? \| \[(\S+)\]\(\1\) \| `(.+?)` \|/gm)];
  const files = readdirSync(FOLDER).filter((file) => file !== 'README.md');
  expect(rows.map(([, file = '']) => file).toSorted()).toEqual(files.toSorted());
  expect(SENDERS.map(({ example }) => example).toSorted()).toEqual(files.toSorted());
  for (const [, file = '', command] of rows)
    expect(readFileSync(new URL(file, FOLDER), 'utf8')).toContain(`API_KEY=demo ${command}\n`);
});

describe.each(SENDERS)('$name', (sender) => {
  it('sends every byte of a file, and no chunk twice', async (context) => {
    skipUnlessThere(sender, context);
    const upload = await uploadOf(BYTES);
    const run = await runExample(sender, upload);
    expectEnd(run, false);
    expect(await storedUpload(upload.key, upload.fileId)).toBe(sha256(BYTES));
    expect(await chunksOf(upload.key)).toEqual([
      [0, 200],
      [1, 200],
      [2, 200],
    ]);
    expect(run.stdout).toContain('Upload complete');
    expectEnd(await runExample(sender, upload), false);
    expect(await chunksOf(upload.key), 'there is nothing left to send').toHaveLength(3);
  });

  it('sends a file of whole chunks, and an empty one', async (context) => {
    skipUnlessThere(sender, context);
    for (const bytes of [BYTES.subarray(0, 2 * CHUNK_BYTES), Buffer.alloc(0)]) {
      const upload = await uploadOf(bytes);
      const run = await runExample(sender, upload);
      expectEnd(run, false);
      expect(run.stdout).toContain('Upload complete');
      expect(await storedUpload(upload.key, upload.fileId)).toBe(sha256(bytes));
    }
  });

  it('ends with the refusal when one comes, and goes on from there when it is run again', async (context) => {
    skipUnlessThere(sender, context);
    const upload = await uploadOf(BYTES);
    await failNextChunk(upload, 1);
    const broken = await runExample(sender, upload);
    expectEnd(broken, true);
    expect(broken.stderr).toContain('503');
    expectEnd(await runExample(sender, upload), false);
    expect(await chunksOf(upload.key)).toEqual([
      [0, 200],
      [1, 503],
      [1, 200],
      [2, 200],
    ]);
    expect(await storedUpload(upload.key, upload.fileId)).toBe(sha256(BYTES));
  });

  it('does not go on with another file or chunk size', async (context) => {
    skipUnlessThere(sender, context);
    const upload = await uploadOf(BYTES);
    await failNextChunk(upload, 1);
    await runExample(sender, upload);
    const smaller = await fileOf(BYTES.subarray(0, 50_000));
    for (const other of [{ chunkBytes: 90_000 }, { path: smaller }]) {
      const run = await runExample(sender, { ...upload, ...other });
      expectEnd(run, true);
      expect(run.stderr).toContain('was begun with another file or chunk size');
    }
    expect(await chunksOf(upload.key)).toHaveLength(2);
  });

  it('shows what a refusal says', async (context) => {
    skipUnlessThere(sender, context);
    const strict = { url: inject('strictUrl'), key: 'a-bad-key' };
    const unknown = await runExample(sender, await uploadOf(BYTES, strict));
    expectEnd(unknown, true);
    expect(unknown.stderr).toContain('this API key is not known to the server');
    const large = { url: inject('strictUrl'), key: KEY, chunkBytes: 3_000_000 };
    const tooLarge = await runExample(sender, await uploadOf(bytesOf('large', 3_000_000), large));
    expectEnd(tooLarge, true);
    expect(tooLarge.stderr).toContain('upload_too_large');
  });
});
