// bench/conditions.ts: describes the machine on which the figures were measured. The figures mean nothing without this.
//
// Promises: a fact that cannot be found is "unknown", never a guess. The disk is measured in the way the server uses it, because
// with fsync the disk is often the limit.
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
  /** The load average of the last minute before the measurements. */
  readonly loadAverage: number;
  readonly durability: Durability;
  readonly filesystem: string;
  readonly disk: DiskSpeed;
}

interface DiskSpeed {
  /** The rate of writing 8 MiB and then calling fdatasync. */
  readonly syncedMiBPerSecond: number;
  /** The time of appending 128 bytes and calling fdatasync: the cost of one ledger line. */
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

/** The filesystem type of the mount that holds the folder. */
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
