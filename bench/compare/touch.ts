// bench/compare/touch.ts: makes the machine's free memory real before anything is measured.
//
// A virtual machine gets a page of memory from its host when it first touches it, and may give it back when it is free for
// a while (free page reporting). Writing to a file then costs up to three times as much, whoever writes: the first
// server would pay for what the next finds ready. So as much memory as a load needs is touched and freed again.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const TOUCH = `
const block = 256 * 1024 ** 2;
const held = [];
for (let left = Number(process.argv[1]); left > 0; left -= block) {
  const memory = Buffer.allocUnsafeSlow(block);
  for (let at = 0; at < block; at += 4096) memory[at] = 1;
  held.push(memory);
}
`;

/** In a process of its own, so that the memory is free again afterwards. */
export function touchMemory(bytes: number): void {
  spawnSync(process.execPath, ['-e', TOUCH, String(bytes)], { stdio: 'ignore' });
}

const BLOCK_BYTES = 1024 ** 2;

/**
 * The same for the pages of a file of that size: the kernel takes them from other lists than a process's memory, so that the
 * end of a large file would still be the first to touch its pages (3.5 times as slow, measured by the free memory left).
 */
export function touchFilePages(bytes: number): void {
  const folder = mkdtempSync(join(tmpdir(), 'xenonflare-mock-bench-'));
  const file = openSync(join(folder, 'touched'), 'w');
  try {
    const block = Buffer.alloc(BLOCK_BYTES);
    for (let left = bytes; left > 0; left -= BLOCK_BYTES) writeSync(file, block);
  } finally {
    closeSync(file);
    rmSync(folder, { recursive: true, force: true });
  }
}
