// bench/compare/cells.ts: measures one contestant once under one load. `tus-8m-c16` is @tus/server with chunks of 8 MiB over 16
// connections, `ours-status-c1` is our server with status queries.
//
// Promises: each measurement has a fresh server. `errors` is 0 only if every answer confirmed a stored chunk and one upload of
// the load holds exactly the sent bytes. The warm-up is not counted.
import { createHash } from 'node:crypto';
import { cpuBetween, figuresOf, readCpu, type Figures } from '../figures.ts';
import { SIZES, type Size } from '../scenarios.ts';
import type { Client } from '../sender/client.ts';
import type { Job, JobResult, SentUpload } from '../sender/job.ts';
import { hasWrk, runWrk } from '../sender/wrk.ts';
import type { BenchServer } from '../server.ts';
import { storeForStatus } from '../status-upload.ts';
import { CONTESTANTS, type Contestant, type ContestantName } from './contestants.ts';

export type CellName = `${ContestantName}-${Size | 'status'}-c${1 | 16}`;

export interface Load {
  readonly contestant: Contestant;
  /** Null: status queries. */
  readonly chunkBytes: number | null;
  readonly connections: number;
}

export interface Cell extends Omit<Load, 'contestant'> {
  readonly name: CellName;
  readonly contestant: ContestantName;
}

export interface CellLimits {
  /** The maximum duration of the load. */
  readonly seconds: number;
  /**
   * The maximum duration of the warm-up. Small requests get twice as long, because more calls are needed until their code is
   * compiled.
   */
  readonly warmUpSeconds: number;
  /** The maximum number of bytes sent in a load. */
  readonly maxBytes: number;
}

interface LoadLimits extends Pick<CellLimits, 'seconds' | 'maxBytes'> {
  /** The minimum number of requests on each connection, whatever the number of bytes. */
  readonly minRequests: number;
}

/** No upload of the bench is ever complete. This is the most chunks that the contract allows. */
const TOTAL_CHUNKS = 1_000_000;
const NO_LIMIT = Number.MAX_SAFE_INTEGER;
const WARM_UP_SHARE = 1 / 4;
const SMALL_BYTES = 64 * 1024;
/** The minimum on each connection of a load. With fewer requests, the first and the last would dominate the figures. */
const MIN_REQUESTS = 2;

export function cellNamed(name: CellName): Cell {
  const [, contestant, size, connections] = /^(.+)-(\w+)-c(\d+)$/.exec(name) ?? [];
  return {
    name,
    contestant: contestant as ContestantName,
    chunkBytes: size === 'status' ? null : SIZES[size as Size],
    connections: Number(connections),
  };
}

export function measureCell(cell: Cell, client: Client, limits: CellLimits): Promise<Figures> {
  return measureLoad({ ...cell, contestant: CONTESTANTS[cell.contestant] }, client, limits);
}

export async function measureLoad(load: Load, client: Client, limits: CellLimits): Promise<Figures> {
  const { contestant, chunkBytes } = load;
  const server = await contestant.start();
  try {
    if (chunkBytes === null && contestant.isOurs) await storeForStatus(server.url);
    await client.run({
      ...jobOf(load, server.url, warmUpOf(load, limits)),
      label: 'warm-up',
      digest: false,
    });
    const cpuBefore = await readCpu(server);
    const job = jobOf(load, server.url, { ...limits, minRequests: MIN_REQUESTS });
    const result = job.wire === 'status' && hasWrk() ? await runWrk(job) : await client.run(job);
    const cpu = cpuBetween(cpuBefore, await readCpu(server));
    const peakRssBytes = await server.peakRssBytes();
    const problem = result.firstRefusal ?? (await problemIn(contestant, server, result.sent));
    const errors = problem === null ? 0 : Math.max(1, result.refused);
    return figuresOf({ ...result, bytesPerRequest: chunkBytes, errors, problem }, cpu, peakRssBytes);
  } finally {
    await server.close();
  }
}

function warmUpOf({ chunkBytes }: Load, limits: CellLimits): LoadLimits {
  const { warmUpSeconds, maxBytes } = limits;
  return chunkBytes === null || chunkBytes <= SMALL_BYTES
    ? { seconds: warmUpSeconds * 2, maxBytes, minRequests: 1 }
    : { seconds: warmUpSeconds, maxBytes: maxBytes * WARM_UP_SHARE, minRequests: 1 };
}

function jobOf(
  { contestant, chunkBytes, connections }: Load,
  url: string,
  { seconds, maxBytes, minRequests }: LoadLimits,
): Job {
  const isStatus = chunkBytes === null;
  const enough = isStatus ? NO_LIMIT : Math.ceil(maxBytes / chunkBytes);
  return {
    wire: isStatus ? 'status' : contestant.wire,
    url,
    connections,
    chunkBytes: chunkBytes ?? 0,
    totalChunks: TOTAL_CHUNKS,
    label: 'load',
    firstIndex: 0,
    chunksPerUpload: null,
    seconds,
    maxRequests: Math.max(enough, connections * minRequests),
    digest: !isStatus && contestant.stored !== null,
  };
}

/** Resolves to a sentence when the server does not hold exactly the sent bytes. */
export async function problemIn(
  contestant: Contestant,
  server: BenchServer,
  sent: JobResult['sent'],
): Promise<string | null> {
  if (sent === null || contestant.stored === null) return null;
  const found = await digestOf(contestant.stored(server, sent));
  if (found.bytes === sent.bytes && found.sha256 === sent.sha256) return null;
  return `${sent.fileId}: ${describe(sent)} were sent, ${describe(found)} are stored`;
}

type Digest = Pick<SentUpload, 'bytes' | 'sha256'>;

async function digestOf(content: AsyncIterable<Uint8Array>): Promise<Digest> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of content) {
    hash.update(piece);
    bytes += piece.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}

function describe({ bytes, sha256 }: Digest): string {
  return `${bytes} bytes (SHA-256 ${sha256.slice(0, 12)}…)`;
}
