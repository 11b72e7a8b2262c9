// uploader-suite.ts: what every uploader of examples/browser must survive, in Chromium, against the server as people run it:
// whatever breaks, the stored bytes are those of the file.
//
// The examples themselves are tested, not copies of them.
import { describe, expect, it } from 'vitest';
import { diceOf, SEED } from '../helpers/seed.ts';
import { useBrowser } from './chromium.ts';
import { useSite } from './site.ts';
import { Stage, type SentFile, type UploadOptions } from './stage.ts';

const CHUNK_BYTES = 512 * 1024;
/** Seven chunks; the last is short, and its length odd. */
const FILE_BYTES = 6 * CHUNK_BYTES + 12_345;
/** For what is waited for in a poll. */
const PATIENCE = { timeout: 20_000 };

const dice = diceOf(SEED);

function newFile(fileId = 'holiday', bytes = FILE_BYTES): SentFile {
  return { fileId, seed: dice.between(0, 2 ** 31), bytes };
}

interface Traits {
  /**
   * True: it asks where to continue. The others must not ask: a library that takes any 200 for "it is there" would send nothing.
   */
  readonly resumes?: boolean;
  /** What it can send four of at a time. */
  readonly four?: 'chunks' | 'files';
}

/** @param name of the example. @param chunks that it makes of the file: seven, or one. */
export function uploaderSuite(
  name: string,
  chunks: 7 | 1,
  { resumes = false, four = 'chunks' }: Traits = {},
): void {
  const browser = useBrowser();
  const site = useSite();
  /** The chunk that things happen to. */
  const middle = Math.floor(chunks / 2);

  function open(...flags: readonly string[]): Promise<Stage> {
    return Stage.open({ browser: browser(), site: site(), flags });
  }

  async function sendAll(stage: Stage, file: SentFile, options: UploadOptions = {}): Promise<void> {
    expect(await stage.upload(name, [file], { chunkBytes: CHUNK_BYTES, ...options })).toBeNull();
    await stage.expectStored(file);
  }

  /** The chunks that the server was sent, in their order, with the status of each. */
  async function sent(stage: Stage): Promise<unknown[]> {
    const exchanges = await stage.chunkExchanges();
    return exchanges.map(({ upload, response }) => [upload?.chunkIndex, response?.status]);
  }

  const inOrder = (from: number): unknown[] =>
    Array.from({ length: chunks - from }, (_, at) => [from + at, 200]);

  describe(`${name} (TEST_SEED=${SEED})`, () => {
    it('uploads a file, each chunk once and in order, and an empty one', async () => {
      const stage = await open();
      await sendAll(stage, newFile());
      expect(await sent(stage)).toEqual(inOrder(0));
      if (!resumes) await stage.verify({ never: [{ operation: 'getUploadStatus' }] });
      await sendAll(stage, newFile('nothing', 0));
    });

    it('survives that an answer is lost, and that of the second attempt, too', async () => {
      const stage = await open();
      await stage.arm({ id: 'lost', match: { chunkIndex: middle }, fault: 'reset@post-commit', times: 2 });
      await sendAll(stage, newFile());
      // Chromium itself sends the request again once; the third one comes from the uploader.
      const lost = { chunkIndex: middle, outcome: 'fault-reset' };
      await stage.verify({ expect: [{ match: lost, count: 2 }], sequence: [{ ...lost, attempt: 2 }] });
      expect((await stage.chunkExchanges()).map((one) => one.suspectedTransportReplay)).toEqual(
        Array.from({ length: chunks + 2 }, (_, at) => at === middle + 1),
      );
    });

    it('survives 503 twice', async () => {
      const stage = await open();
      const fault = 'status@headers:503,retryAfter=1';
      await stage.arm({ id: 'busy', match: { chunkIndex: middle }, fault, times: 2 });
      await sendAll(stage, newFile());
      await stage.verify({ expect: [{ match: { chunkIndex: middle, status: 503 }, count: 2 }] });
    });

    it("takes a proxy's page for no answer, even if its status is 200", async () => {
      const stage = await open();
      const last = { chunkIndex: chunks - 1 };
      await stage.arm({ id: 'portal', match: last, fault: 'status@headers:200,html' });
      await sendAll(stage, newFile());
      await stage.verify({ expect: [{ match: { ...last, ruleId: 'portal' }, count: 1 }] });
    });

    it('survives that the server is killed in the middle of a chunk and started again', async () => {
      const stage = await open();
      await stage.arm({ id: 'freeze', match: { chunkIndex: middle }, fault: 'stall@body:64KiB' });
      const file = newFile();
      const sending = sendAll(stage, file);
      await expect.poll(() => stage.hasFired('freeze'), PATIENCE).toBe(true);
      await stage.killAndStartAgain();
      await sending;
      // The second process receives what the first did not acknowledge, and nothing else.
      expect(await sent(stage)).toEqual(inOrder(middle));
    });

    it('survives that the server stalls: it has a time-out', async () => {
      const stage = await open();
      await stage.arm({ id: 'silence', match: { chunkIndex: middle }, fault: 'stall@body:64KiB' });
      await sendAll(stage, newFile(), { timeoutMs: 1_000 });
      // When the body is not read, the end of the connection is noticed a little later.
      await stage.waitFor({ ruleId: 'silence', outcome: 'client-aborted' });
      await stage.verify();
    });

    it('gives up at once, with what the server says, when it is refused for good', async () => {
      const stage = await open();
      await sendAll(stage, newFile());
      // Another file of the same fileId.
      const said = await stage.upload(name, [newFile()], { chunkBytes: CHUNK_BYTES });
      expect(said).toContain('use a new fileId for another file');
      await stage.verify({ expect: [{ match: { errorCode: 'chunk_conflict' }, count: 1 }] });
    });

    if (resumes) {
      it('goes on after a reload of the page, and begins anew when the server has forgotten', async () => {
        const stage = await open();
        const file = newFile();
        await stage.leaveInTheMiddle(name, file, { chunkBytes: CHUNK_BYTES, chunkIndex: middle });
        const before = (await stage.chunkExchanges()).length;
        await sendAll(stage, file);
        expect((await sent(stage)).slice(before)).toEqual(inOrder(middle));

        const other = newFile('forgotten');
        await stage.leaveInTheMiddle(name, other, { chunkBytes: CHUNK_BYTES, chunkIndex: middle });
        await stage.forget(other.fileId);
        const then = (await stage.chunkExchanges()).length;
        await sendAll(stage, other);
        expect((await sent(stage)).slice(then)).toEqual(inOrder(0));
      });
    }

    if (four === 'chunks') {
      it('sends four chunks at a time to a server that takes them in any order (C8)', async () => {
        const stage = await open('--chunk-order', 'any');
        await stage.arm({ id: 'hold', match: { chunkIndex: 0 }, fault: 'stall@pre-commit' });
        const file = newFile();
        const sending = sendAll(stage, file, { parallel: 4 });
        // All others are stored while the first one is not, so they arrive out of order.
        await expect
          .poll(() => stage.uploadOf(file.fileId), PATIENCE)
          .toMatchObject({ currentSize: 0, receivedBytes: FILE_BYTES - CHUNK_BYTES });
        await stage.killAndStartAgain();
        await sending;
        expect(await sent(stage), 'of the second process').toEqual([[0, 200]]);
      });
    } else {
      it('sends four files at a time', async () => {
        const stage = await open();
        const files = [0, 1, 2, 3].map((at) => newFile(`photo-${at}`, CHUNK_BYTES + at)); // One chunk, unless told.
        await stage.arm({ id: 'hold', match: { fileId: 'photo-0' }, fault: 'stall@pre-commit' });
        const sending = stage.upload(name, files, { parallel: 4 });
        for (const { fileId } of files.slice(1)) {
          await expect.poll(() => stage.uploadOf(fileId), PATIENCE).toMatchObject({ completed: true });
        }
        expect(await stage.uploadOf('photo-0')).toBeNull();
        await stage.killAndStartAgain();
        expect(await sending).toBeNull();
        for (const file of files) await stage.expectStored(file);
        expect(await sent(stage), 'of the second process').toEqual([[0, 200]]);
      });
    }
  });
}
