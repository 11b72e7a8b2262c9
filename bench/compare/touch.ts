// bench/compare/touch.ts: makes the machine's free memory real before anything is measured.
//
// A virtual machine gets a page of memory from its host on the first touch, and may return it when it has been free for a while
// (free page reporting). Writing to a file then costs up to three times as much for any program: the first server would pay for
// memory that the next server finds ready. So the memory that a load needs is touched and freed first.
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

/** Touches the memory in a separate process, so that it is free again afterwards. */
export function touchMemory(bytes: number): void {
  spawnSync(process.execPath, ['-e', TOUCH, String(bytes)], { stdio: 'ignore' });
}

const BLOCK_BYTES = 1024 ** 2;

/**
 * Does the same for the pages of a file of this size. The kernel takes file pages from other lists than process memory, so
 * without this the end of a large file would still be the first to touch its pages (3.5 times as slow, measured by the free
 * memory left).
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
