// helpers/small-disk.ts: a real disk that is small enough to fill: a tmpfs.
//
// Only root may mount one: `canMount` says whether this process can, for `describe.skipIf`.
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { mkdtemp, rmdir, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface SmallDisk {
  readonly path: string;
  /** Fills the disk except for `leftBytes`, rounded down to whole pages. Returns the file that fills it. */
  fill(leftBytes: number): Promise<string>;
  unmount(): Promise<void>;
}

export const canMount = probe();

export async function mountSmallDisk(bytes: number): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), 'xenonflare-mock-disk-'));
  await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', path]);
  return {
    path,
    async fill(leftBytes) {
      const { bavail, bsize } = await statfs(path);
      const filler = join(path, 'filler');
      await writeFile(filler, Buffer.alloc(bavail * bsize - leftBytes, 1));
      return filler;
    },
    async unmount() {
      await run('umount', ['--lazy', path]);
      await rmdir(path);
    },
  };
}

function probe(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  const path = mkdtempSync(join(tmpdir(), 'xenonflare-mock-probe-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', path], { stdio: 'ignore' });
    execFileSync('umount', [path], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(path);
  }
}
