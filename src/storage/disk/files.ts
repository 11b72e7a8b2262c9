// storage/disk/files.ts: the functions of node:fs/promises that use a descriptor, at least while they run.
//
// Promises: when no descriptor is left, each call is tried once more after unused files were closed (descriptors.ts, rule D8).
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

/** It needs a descriptor because it lists the contents of a folder. */
export function rm(path: string, options: RmOptions): Promise<void> {
  return opening(() => fs.rm(path, options));
}
