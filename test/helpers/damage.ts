// helpers/damage.ts: what disks and crashes do to files, as verbs.
import { readFile, stat, truncate, writeFile } from 'node:fs/promises';

/** The last `bytes` are gone. */
export async function cutTail(file: string, bytes: number): Promise<void> {
  await truncate(file, (await stat(file)).size - bytes);
}

/** The bits of `mask` are turned over in one byte. */
export async function flipByte(file: string, at: number, mask = 0xff): Promise<void> {
  const content = await readFile(file);
  content.writeUInt8(content.readUInt8(at) ^ mask, at);
  await writeFile(file, content);
}

/** Line `index`, counted from 0, is gone, its newline included. */
export async function dropLine(file: string, index: number): Promise<void> {
  const lines = (await readFile(file, 'latin1')).split(/(?<=\n)/);
  await writeFile(file, lines.toSpliced(index, 1).join(''), 'latin1');
}

export async function appendGarbage(file: string, garbage: Buffer | string): Promise<void> {
  await writeFile(file, garbage, { flag: 'a' });
}

/** A stretch of the file was never written: it reads as zeros. */
export async function punchHole(file: string, from: number, to: number): Promise<void> {
  const content = await readFile(file);
  await writeFile(file, content.fill(0, from, to));
}
