// helpers/damage.ts: functions that do to files what disks and crashes do.
import { readFile, stat, truncate, writeFile } from 'node:fs/promises';

/** Removes the last `bytes`. */
export async function cutTail(file: string, bytes: number): Promise<void> {
  await truncate(file, (await stat(file)).size - bytes);
}

/** Inverts the bits of `mask` in one byte. */
export async function flipByte(file: string, at: number, mask = 0xff): Promise<void> {
  const content = await readFile(file);
  content.writeUInt8(content.readUInt8(at) ^ mask, at);
  await writeFile(file, content);
}

/** Removes line `index`, counted from 0, with its newline. */
export async function dropLine(file: string, index: number): Promise<void> {
  const lines = (await readFile(file, 'latin1')).split(/(?<=\n)/);
  await writeFile(file, lines.toSpliced(index, 1).join(''), 'latin1');
}

export async function appendGarbage(file: string, garbage: Buffer | string): Promise<void> {
  await writeFile(file, garbage, { flag: 'a' });
}

/** Overwrites a part of the file with zeros, as if it had never been written. */
export async function punchHole(file: string, from: number, to: number): Promise<void> {
  const content = await readFile(file);
  await writeFile(file, content.fill(0, from, to));
}
