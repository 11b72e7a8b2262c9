// bench/conditions.ts: the machine that the figures come from; without it they mean nothing.
//
// Promises: what cannot be found out is "unknown", never a guess. The disk is measured as the server uses it: with fsync
// it, not the server, is often the limit.
import { mkdtemp, open, readFile, rm, type FileHandle } from 'node:fs/promises';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Durability } from './server.ts';

export interface Conditions {
  readonly date: string;
  readonly node: string;
  readonly system: string;
  readonly cpu: string;
  readonly cores: number;
  /** Of the last minute, before anything was measured. */
  readonly loadAverage: number;
  readonly durability: Durability;
  readonly filesystem: string;
  readonly disk: DiskSpeed;
}

interface DiskSpeed {
  /** Writing 8 MiB and fdatasync, one after the other. */
  readonly syncedMiBPerSecond: number;
  /** Appending 128 bytes and fdatasync: what one ledger line costs. */
  readonly syncedLineMs: number;
}

const BLOCK_BYTES = 8 * 1024 ** 2;
const BLOCKS = 12;
const LINE_BYTES = 128;
const LINES = 40;

export async function readConditions(durability: Durability): Promise<Conditions> {
  const processors = cpus();
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    system: `${process.platform} ${release()} ${process.arch}`,
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    loadAverage: loadavg()[0] ?? Number.NaN,
    durability,
    filesystem: await filesystemOf(tmpdir()),
    disk: await measureDisk(),
  };
}

export function conditionLines(conditions: Conditions): string[] {
  const { disk } = conditions;
  return [
    `date        ${conditions.date}`,
    `node        ${conditions.node} on ${conditions.system}`,
    `cpu         ${conditions.cpu}, ${conditions.cores} cores, load average ${conditions.loadAverage.toFixed(2)}`,
    `durability  ${conditions.durability}`,
    `filesystem  ${conditions.filesystem}; alone: ${Math.round(disk.syncedMiBPerSecond)} MiB/s in synced blocks of 8 MiB, ${disk.syncedLineMs.toFixed(2)} ms for a synced line`,
  ];
}

/** The type of the mount that holds the folder. */
async function filesystemOf(folder: string): Promise<string> {
  const mounts = await readFile('/proc/self/mounts', 'utf8').catch(() => '');
  let best = { point: '', type: 'unknown' };
  for (const line of mounts.split('\n')) {
    const [, point = '', type = 'unknown'] = line.split(' ');
    const isAbove = point === '/' || folder === point || folder.startsWith(`${point}/`);
    if (point !== '' && isAbove && point.length >= best.point.length) best = { point, type };
  }
  return best.type;
}

async function measureDisk(): Promise<DiskSpeed> {
  const folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-bench-'));
  try {
    const file = await open(join(folder, 'probe'), 'w');
    const blockMs = await timePerWrite(file, Buffer.alloc(BLOCK_BYTES, 'x'), BLOCKS);
    const syncedLineMs = await timePerWrite(file, Buffer.alloc(LINE_BYTES, 'x'), LINES);
    await file.close();
    return { syncedMiBPerSecond: BLOCK_BYTES / 1024 ** 2 / (blockMs / 1000), syncedLineMs };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function timePerWrite(file: FileHandle, bytes: Buffer, times: number): Promise<number> {
  const startedAt = performance.now();
  for (let count = 0; count < times; count += 1) {
    await file.write(bytes);
    await file.datasync();
  }
  return (performance.now() - startedAt) / times;
}
