// bench/guard.ts: `npm run bench:guard` checks for CI that storing a chunk has not become much more expensive.
//
// Method: the CPU seconds per GiB of our server (fields first, `--durability none`, journal on) are divided by those of a bare
// Node pipe (peers/pipe.mjs) at the same time on the same machine. A ratio of CPU times is used because wall times mislead on a
// busy machine. Both servers get short loads in turn; the median of the ratios counts.
// Promises: exit code 1 and a sentence when a median is above its bound; exit code 2 when it could not be measured; less than a
// minute. The bounds are not goals: they catch a regression and tolerate a busy machine. `npm run bench:peers` measures the
// goals.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { problemIn } from './compare/cells.ts';
import { CONTESTANTS, type Contestant } from './compare/contestants.ts';
import { median } from './figures.ts';
import { Client } from './sender/client.ts';
import type { BenchServer } from './server.ts';
import { BENCH_KEY } from './wires.ts';

interface Guarded {
  readonly title: string;
  readonly chunkBytes: number;
  /** The number of chunks in each load. */
  readonly chunks: number;
  /** Chunks sent to both servers before the measurement, so that the compiler has finished its work. */
  readonly warmUpChunks: number;
  /** The highest allowed ratio to the bare pipe. */
  readonly bound: number;
}

const KIB = 1024;
const GIB = KIB ** 3;
const GUARDED: readonly Guarded[] = [
  { title: '8 MiB', chunkBytes: 8 * KIB * KIB, chunks: 32, warmUpChunks: 32, bound: 2 },
  { title: '64 KiB', chunkBytes: 64 * KIB, chunks: 2_000, warmUpChunks: 4_000, bound: 3.5 },
];
const CONNECTIONS = 4;
const MAX_PAIRS = 5;
const MIN_PAIRS = 3;
/** The time for the pairs of one size. A busy machine measures fewer pairs. */
const PAIRS_MS = 9_000;
const PATIENCE_SECONDS = 20;

interface Side {
  readonly contestant: Contestant;
  readonly server: BenchServer;
  /** Removes an upload, so that the next load can reuse its memory (compare/touch.ts). */
  readonly erase: (fileId: string) => Promise<unknown>;
}

async function guard(): Promise<boolean> {
  const client = new Client();
  const sides: Side[] = [];
  try {
    const ours = await startOurs(sides);
    const pipe = await startPipe(sides);
    let isGood = true;
    for (const guarded of GUARDED) {
      const ratio = await ratioOf(client, { ours, pipe }, guarded);
      isGood = say(guarded, ratio) && isGood;
    }
    return isGood;
  } finally {
    await Promise.all(sides.map(({ server }) => server.close()));
    await client.close();
  }
}

/** @param sides gets the server, so that it will be closed */
async function startOurs(sides: Side[]): Promise<Side> {
  const server = await CONTESTANTS.ours.start();
  const init = { method: 'DELETE', headers: { 'X-API-Key': BENCH_KEY } };
  const erase = (fileId: string): Promise<unknown> => fetch(`${server.url}/__admin/uploads/${fileId}`, init);
  const side = { contestant: CONTESTANTS.ours, server, erase };
  sides.push(side);
  return side;
}

async function startPipe(sides: Side[]): Promise<Side> {
  const server = await CONTESTANTS.pipe.start();
  const side = {
    contestant: CONTESTANTS.pipe,
    server,
    erase: (fileId: string) => rm(join(server.folder, fileId)),
  };
  sides.push(side);
  return side;
}

async function ratioOf(
  client: Client,
  { ours, pipe }: { ours: Side; pipe: Side },
  guarded: Guarded,
): Promise<number> {
  const { title, warmUpChunks } = guarded;
  for (const side of [ours, pipe]) {
    await cpuPerGib(client, side, { ...guarded, label: `warm-up-${title}`, chunks: warmUpChunks });
  }
  const ratios: number[] = [];
  const giveUpAt = performance.now() + PAIRS_MS;
  while (ratios.length < MAX_PAIRS && (ratios.length < MIN_PAIRS || performance.now() < giveUpAt)) {
    const load = { ...guarded, label: `load-${title}-${ratios.length}` };
    const floor = await cpuPerGib(client, pipe, load);
    const cost = await cpuPerGib(client, ours, load);
    ratios.push(cost / floor);
    console.log(
      `${title}: ours ${cost.toFixed(2)} CPU s/GiB, a bare pipe ${floor.toFixed(2)}: ${(cost / floor).toFixed(2)} ×`,
    );
  }
  return median(ratios) ?? Number.NaN;
}

/** @throws Error when a chunk is refused or the stored bytes differ from the sent bytes */
async function cpuPerGib(
  client: Client,
  { contestant, server, erase }: Side,
  load: { readonly label: string; readonly chunks: number; readonly chunkBytes: number },
): Promise<number> {
  const label = load.label.replaceAll(' ', '-');
  const before = await server.cpuSeconds();
  const { requests, firstRefusal, sent } = await client.run({
    wire: contestant.wire,
    url: server.url,
    connections: CONNECTIONS,
    chunkBytes: load.chunkBytes,
    totalChunks: 1_000_000,
    label,
    firstIndex: 0,
    chunksPerUpload: null,
    seconds: PATIENCE_SECONDS,
    maxRequests: load.chunks,
    digest: true,
  });
  const after = await server.cpuSeconds();
  if (before === null || after === null)
    throw new Error('the CPU time of a process is not known on this system');
  const problem = firstRefusal ?? (await problemIn(contestant, server, sent));
  if (problem !== null) throw new Error(problem);
  for (let n = 0; n < CONNECTIONS; n += 1) await erase(`${label}-${n}`);
  return (after - before) / ((requests * load.chunkBytes) / GIB);
}

/** Whether the ratio is within its bound. */
function say({ title, bound }: Guarded, ratio: number): boolean {
  const isGood = ratio <= bound;
  console.log(
    isGood
      ? `${title}: ${ratio.toFixed(2)} × the floor, at most ${bound} × is allowed`
      : `${title}: a stored chunk costs ${ratio.toFixed(2)} × what a bare Node pipe costs, more than the ${bound} × allowed: ` +
          'something on the path of a chunk became much dearer; `npm run bench:peers -- --only floor` shows it in detail',
  );
  return isGood;
}

try {
  if (!(await guard())) process.exitCode = 1;
} catch (error) {
  process.stderr.write(`bench:guard: ${(error as Error).message}\n`);
  process.exitCode = 2;
}
