// storage/disk/files.ts: the calls of node:fs/promises that take a descriptor, also for as long as they run.
//
// Promises: where there is none left, each is done once more when what nobody uses was closed (descriptors.ts). The modules of the
// storage take these calls from here and nowhere else, so that none is forgotten (rule D8).
// Must not know: what the files are.
import type { Dir, RmOptions } from 'node:fs';
import * as fs from 'node:fs/promises';
import { opening } from './descriptors.ts';

export function open(path: string, flags: string): Promise<fs.FileHandle> {
  return opening(() => fs.open(path, flags));
}

export function opendir(path: string): Promise<Dir> {
  return opening(() => fs.opendir(path));
}

export function readdir(path: string): Promise<string[]> {
  return opening(() => fs.readdir(path));
}

export function readText(path: string): Promise<string> {
  return opening(() => fs.readFile(path, 'utf8'));
}

export function writeFile(
  path: string,
  data: string | Uint8Array,
  options: { readonly flush?: boolean } = {},
): Promise<void> {
  return opening(() => fs.writeFile(path, data, options));
}

export function copyFile(from: string, to: string): Promise<void> {
  return opening(() => fs.copyFile(from, to));
}

export function truncate(path: string, bytes: number): Promise<void> {
  return opening(() => fs.truncate(path, bytes));
}

/** Of a folder it lists what is in it. */
export function rm(path: string, options: RmOptions): Promise<void> {
  return opening(() => fs.rm(path, options));
}
