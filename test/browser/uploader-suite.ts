// uploaders.browser.ts: the uploaders of examples/browser, in Chromium, against the server as people run it: whatever
// breaks, the bytes that are stored are those of the file.
//
// The examples are what is tested, not copies of them.
import { describe, expect, it } from 'vitest';
import { diceOf, SEED } from '../helpers/seed.ts';
import { useBrowser } from './chromium.ts';
import { useSite } from './site.ts';
import { Stage, type SentFile, type UploadOptions } from './stage.ts';

const CHUNK_BYTES = 512 * 1024;
/** Seven chunks; the last is short, and its length odd. */
const FILE_BYTES = 6 * CHUNK_BYTES + 12_345;
const MIB = 1024 * 1024;

interface Library {
  readonly name: string;
  readonly chunks: number;
  /** The chunk that things happen to. */
  readonly middle: number;
}

const chunked = (name: string): Library => ({ name, chunks: 7, middle: 3 });
const LIBRARIES: readonly Library[] = [
  chunked('dropzone'),
  chunked('resumable'),
  chunked('flow'),
  { name: 'uppy', chunks: 1, middle: 0 },
  chunked('fetch'),
];

const browser = useBrowser();
const site = useSite();
const dice = diceOf(SEED);
const newSeed = (): number => dice.between(0, 2 ** 31);

function open(...flags: readonly string[]): Promise<Stage> {
  return Stage.open({ browser: browser(), site: site(), flags });
}

const newFile = (bytes = FILE_BYTES): SentFile => ({ fileId: 'holiday', seed: newSeed(), bytes });

describe.each(LIBRARIES)(`$name (TEST_SEED=${SEED})`, ({ name, chunks, middle }) => {
  async function sendsAll(stage: Stage, file: SentFile, options: UploadOptions = {}): Promise<void> {
    expect(await stage.upload(name, [file], { chunkBytes: CHUNK_BYTES, ...options })).toBeNull();
    await stage.expectStored(file);
  }

  it('uploads a file, each chunk once and in order', async () => {
    const stage = await open();
    await sendsAll(stage, newFile());
    const sent = (await stage.chunkExchanges()).map(({ upload, response }) => [
      upload?.chunkIndex,
      response?.status,
    ]);
    expect(sent).toEqual(Array.from({ length: chunks }, (_, index) => [index, 200]));
  });

  it('uploads an empty file', async () => {
    const stage = await open();
    await sendsAll(stage, newFile(0));
  });

  it('survives that an answer is lost, and that of the second attempt, too', async () => {
    const stage = await open();
    await stage.arm({ id: 'lost', match: { chunkIndex: middle }, fault: 'reset@post-commit', times: 2 });
    await sendsAll(stage, newFile());
    await stage.verify({ expect: [{ match: { chunkIndex: middle, outcome: 'fault-reset' }, count: 2 }] });
    console.log(
      name,
      (await stage.chunkExchanges()).map((e) =>
        [
          e.upload?.chunkIndex,
          e.upload?.attempt,
          e.outcome,
          e.connection,
          e.suspectedTransportReplay,
          e.timing.totalMs,
          e.at,
        ].join(' '),
      ),
    );
  });

  it('survives 503 twice', async () => {
    const stage = await open();
    const fault = 'status@headers:503,retryAfter=1';
    await stage.arm({ id: 'busy', match: { chunkIndex: middle }, fault, times: 2 });
    await sendsAll(stage, newFile());
    await stage.verify({ expect: [{ match: { chunkIndex: middle, status: 503 }, count: 2 }] });
  });

  it('survives that the server is killed in the middle of a chunk and started again', async () => {
    const stage = await open();
    await stage.arm({ id: 'freeze', match: { chunkIndex: middle }, fault: 'stall@body:64KiB' });
    const file = newFile();
    const sending = sendsAll(stage, file);
    await expect.poll(() => stage.hasFired('freeze'), { timeout: 20_000 }).toBe(true);
    await stage.killAndStartAgain();
    await sending;
    // The second process is sent what the first did not acknowledge, and nothing else.
    const sent = (await stage.chunkExchanges()).map(({ upload }) => upload?.chunkIndex);
    expect(sent).toEqual(Array.from({ length: chunks - middle }, (_, at) => middle + at));
  });

  it('survives that the server stalls: it has a time-out', async () => {
    const stage = await open();
    await stage.arm({ id: 'silence', match: { chunkIndex: middle }, fault: 'stall@body:64KiB' });
    await sendsAll(stage, newFile(), { timeoutMs: 1_500 });
    await stage.verify({ expect: [{ match: { ruleId: 'silence', outcome: 'client-aborted' }, count: 1 }] });
  });

  it('gives up at once, with what the server says, when it is refused for good', async () => {
    const stage = await open('--max-file-size', '1MiB');
    const said = await stage.upload(name, [newFile()], { chunkBytes: CHUNK_BYTES });
    expect(said).toMatch(/1048576/);
    await stage.verify({ expect: [{ match: { errorCode: 'upload_too_large' }, count: 1 }] });
  });
});

describe.each(LIBRARIES.filter((library) => library.chunks > 1))(
  `$name, four chunks at a time (TEST_SEED=${SEED})`,
  ({ name }) => {
    it('uploads a file to a server that takes chunks in any order', async () => {
      const stage = await open('--chunk-order', 'any');
      await stage.arm({ id: 'last', match: { chunkIndex: 0 }, fault: 'delay@pre-commit:2s' });
      const file = newFile();
      const sending = stage.upload(name, [file], { chunkBytes: CHUNK_BYTES, parallel: 4 });
      // Others are stored while the first is not: out of order, that is.
      await expect
        .poll(() => stage.uploadOf(file.fileId), { timeout: 20_000 })
        .toMatchObject({ currentSize: 0, receivedBytes: FILE_BYTES - CHUNK_BYTES });
      expect(await sending).toBeNull();
      await stage.expectStored(file);
      await stage.verify();
    });
  },
);

it(`uppy uploads four files at a time (TEST_SEED=${SEED})`, async () => {
  const stage = await open();
  const files = Array.from({ length: 4 }, (_, at) => ({ ...newFile(MIB + at), fileId: `photo-${at}` }));
  await stage.arm({ id: 'last', match: { fileId: 'photo-0' }, fault: 'delay@pre-commit:2s' });
  const sending = stage.upload('uppy', files, { parallel: 4 });
  await expect.poll(async () => (await stage.uploadOf('photo-3'))?.completed, { timeout: 20_000 }).toBe(true);
  expect(await stage.uploadOf('photo-0')).toBeNull();
  expect(await sending).toBeNull();
  for (const file of files) await stage.expectStored(file);
  await stage.verify();
});
