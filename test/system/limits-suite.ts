// What must not grow: memory, descriptors, files and the bytes that a finalise moves. The server runs in its own process, so that
// the sender's memory is not measured.
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { mkdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { startServer } from '../../src/index.ts';
import { afterEachTest } from '../helpers/after-each-test.ts';
import { diceOf, SEED } from '../helpers/seed.ts';
import { flood, floodAndReset, floodDigest, floodVideo } from '../helpers/flood.ts';
import {
  descriptorCount,
  forgetPeak,
  peakResidentBytes,
  residentBytes,
  startProcess,
  transferredBytes,
} from '../helpers/process.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const POLLING = { timeout: 60_000, interval: 50 };

let folders: string[] = [];

afterEachTest(async () => {
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
  folders = [];
});

/** Removed after the test. */
export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-limits-'));
  folders.push(folder);
  return folder;
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

/** What a request leaves is removed after its end. */
async function expectNoFile(folder: string): Promise<void> {
  await expect.poll(() => filesIn(folder), POLLING).toEqual([]);
}

/** Of many chunks or videos: how many are sent at once, and how large each one is. */
export interface Load {
  readonly count: number;
  readonly mib: number;
}

/** @param load more in total than the bound of 64 MiB: if it were kept in memory, the measurement would show it */
export function chunksInParallel({ count, mib }: Load): void {
  describe(`${count} chunks of ${mib} MiB in parallel`, () => {
    it.each([
      ['file first', true],
      ['fields first', false],
    ])(
      '%s, take no more than 64 MiB of memory beyond the idle server (C10, §7.5)',
      { timeout: 600_000 },
      async (_order, fileFirst) => {
        const server = await startProcess(['--data-dir', await newFolder(), '--durability', 'none']);
        await flood(server.port, { fileId: 'warm', index: 0, total: 2, bytes: 8 * MIB, fileFirst });
        const idle = await residentBytes(server.pid);
        await forgetPeak(server.pid);
        const answers = await Promise.all(
          Array.from({ length: count }, (_, n) =>
            flood(server.port, { fileId: `upload-${n}`, index: 0, total: 2, bytes: mib * MIB, fileFirst }),
          ),
        );
        const grown = (await peakResidentBytes(server.pid)) - idle;
        console.info(`grown by ${Math.round(grown / MIB)} MiB, file first: ${String(fileFirst)}`);
        expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
        expect(grown).toBeLessThanOrEqual(64 * MIB);
      },
    );
  });
}

/** @param load as for `chunksInParallel` */
export function videosInParallel({ count, mib }: Load): void {
  describe(`${count} whole videos of ${mib} MiB sent directly and in parallel`, () => {
    it.each([
      ['file first', true],
      ['fields first', false],
    ])('%s, go to the disk as they come: no more than 64 MiB of memory (F8)', async (_order, fileFirst) => {
      const server = await startProcess(['--data-dir', await newFolder(), '--durability', 'none']);
      await floodVideo(server.port, { bytes: 8 * MIB, fileFirst });
      const idle = await residentBytes(server.pid);
      await forgetPeak(server.pid);
      const videos = Array.from({ length: count }, () =>
        floodVideo(server.port, { bytes: mib * MIB, fileFirst }),
      );
      const answers = await Promise.all(videos);
      const grown = (await peakResidentBytes(server.pid)) - idle;
      console.info(`grown by ${Math.round(grown / MIB)} MiB, file first: ${String(fileFirst)}`);
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
      expect(grown).toBeLessThanOrEqual(64 * MIB);
    });
  });
}

/** @param count how many after the first 500, which fill pools and caches */
export function abortedRequests(count: number): void {
  describe(`${count} requests aborted at random offsets (TEST_SEED=${SEED})`, () => {
    it('leave no descriptor, no temporary file and no stored byte', { timeout: 600_000 }, async () => {
      const dataDir = await newFolder();
      const server = await startProcess([
        '--data-dir',
        dataDir,
        '--durability',
        'none',
        '--spool-memory',
        '16KiB',
      ]);
      const dice = diceOf(SEED);
      const abort = (n: number): Promise<void> =>
        floodAndReset(
          server.port,
          { fileId: `aborted-${n % 50}`, index: 0, total: 2, bytes: 128 * KIB, fileFirst: n % 2 === 0 },
          (wholeBytes) => dice.between(1, wholeBytes - 1),
        );
      const abortMany = async (from: number, count: number): Promise<void> => {
        for (let n = from; n < from + count; n += 20)
          await Promise.all(Array.from({ length: 20 }, (_, i) => abort(n + i)));
      };
      await abortMany(0, 500); // After these, pools and caches are as full as they get.
      await expectNoFile(join(dataDir, 'bytes'));
      const descriptors = await descriptorCount(server.pid);
      await abortMany(500, count);
      await expect
        .poll(() => descriptorCount(server.pid), { ...POLLING, message: 'no descriptor more than before' })
        .toBeLessThanOrEqual(descriptors);
      await expectNoFile(join(dataDir, 'bytes'));
      await expectNoFile(join(dataDir, 'spool'));
      expect(await filesIn(join(dataDir, 'ledgers'))).toEqual([]);
      expect((await flood(server.port, { fileId: 'after', index: 0, total: 2, bytes: 10 })).status).toBe(200);
    });
  });
}

/** The most bytes there may be are `count` chunks of `mib` MiB. */
export function largestFile({ count, mib }: Load): void {
  const maxBytes = count * mib * MIB;
  describe('a file of the most bytes there may be', () => {
    it(
      `is refused at the byte beyond ${count * mib} MiB with an answer that can be read, completes without it, and is moved by a finalise (C13, F7)`,
      { timeout: 900_000 },
      async () => {
        const limit = ['--max-file-size', String(maxBytes), '--durability', 'none'];
        const server = await startProcess(['--data-dir', await newFolder(), ...limit]);
        const sizes = Array.from({ length: count }, () => mib * MIB);
        const send = (index: number, bytes: number): ReturnType<typeof flood> =>
          flood(server.port, { fileId: 'largest', index, total: sizes.length, bytes });
        for (let index = 0; index < sizes.length - 1; index += 1) {
          expect((await send(index, mib * MIB)).status).toBe(200);
        }
        const beyond = await send(sizes.length - 1, mib * MIB + 1);
        expect(beyond.status).toBe(413);
        expect(JSON.parse(beyond.text)).toMatchObject({
          error: 'upload_too_large',
          details: { maxBytes, currentSize: maxBytes - mib * MIB },
        });
        expect(await send(sizes.length - 1, mib * MIB)).toMatchObject({
          status: 200,
          text: expect.stringContaining('Upload complete'),
        });

        const before = await transferredBytes(server.pid);
        const finalised = await fetch(`${server.url}/media/videos`, {
          method: 'POST',
          headers: { 'x-api-key': 'k', 'content-type': 'application/json' },
          body: JSON.stringify({ fileId: 'largest', platforms: ['youtube'] }),
        });
        const moved = (await transferredBytes(server.pid)) - before;
        const { data } = (await finalised.json()) as { data: { id: string } };
        expect(finalised.status).toBe(201);
        console.info(`finalised ${count * mib} MiB with ${moved} bytes read and written`);
        expect(moved, 'it is a move, whatever the size').toBeLessThan(MIB);
        const shown = await fetch(`${server.adminUrl}/media/${data.id}?digest=sha256`, {
          headers: { 'x-api-key': 'k' },
        });
        expect(await shown.json()).toMatchObject({ bytes: maxBytes, sha256: floodDigest(sizes) });
      },
    );
  });
}

export function startUp(ledgers: number): void {
  describe('start-up', () => {
    it(`reads no stored upload: ${ledgers} of them, each damaged, do not matter (D2)`, async () => {
      const dataDir = await newFolder();
      for (let n = 0; n < ledgers; n += 1) {
        const path = join(
          dataDir,
          'ledgers/uploads/public',
          (n % 256).toString(16).padStart(2, '0'),
          `${n}.log`,
        );
        if (n < 256) await mkdir(dirname(path), { recursive: true });
        await writeFile(path, 'not a ledger\nat all\n');
      }
      const server = await startProcess(['--data-dir', dataDir]);
      expect((await flood(server.port, { fileId: 'new', index: 0, total: 2, bytes: 10 })).status).toBe(200);
      expect(server.stderr()).toBe('');
    });
  });
}

export function serversSideBySide(count: number): void {
  describe('in one process', () => {
    it(`${count} servers share nothing (§8.5)`, async () => {
      const servers = await Promise.all(Array.from({ length: count }, () => startServer()));
      try {
        expect(new Set(servers.map(({ url }) => url)).size).toBe(count);
        const [first] = servers;
        await flood(Number(new URL(first?.url ?? '').port), {
          fileId: 'mine',
          index: 0,
          total: 1,
          bytes: 10,
        });
        const found = await Promise.all(servers.map((server) => server.uploads.list()));
        expect(found.map((uploads) => uploads.length)).toEqual([
          1,
          ...Array.from({ length: count - 1 }, () => 0),
        ]);
        expect(servers.map((server) => server.journal.count())).toEqual([
          1,
          ...Array.from({ length: count - 1 }, () => 0),
        ]);
      } finally {
        await Promise.all(servers.map((server) => server.close()));
      }
    });
  });
}
