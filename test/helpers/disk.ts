// helpers/disk.ts: what lies in a data folder, and where a certain file lies.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { placePath } from '../../src/storage/disk/paths.ts';
import { placeOf } from '../../src/uploads/storage-key.ts';

/** Every file below the folder with its size; folders end in a slash. */
export function filesIn(folder: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(folder, path);
    if (entry.isDirectory()) found.set(`${name}/`, 0);
    else {
      const size = statSync(path, { throwIfNoEntry: false })?.size;
      if (size !== undefined) found.set(name, size); // It may have been removed since the folder was listed.
    }
  }
  return found;
}

/** Bytes of content, including spools. When nothing is stored this must be 0. */
export function contentBytes(dataDir: string): number {
  const content = [...filesIn(dataDir)].filter(([name]) => /^(bytes|spool)\//.test(name));
  return content.reduce((sum, [, bytes]) => sum + bytes, 0);
}

/** The name under which logs and the admin plane show it. */
export function namespaceOf(key: string): string {
  return `ns_${createHash('sha256').update(key).digest('hex').slice(0, 16)}`;
}

export function uploadLedger(dataDir: string, fileId: string, namespace = 'public'): string {
  return `${placePath(join(dataDir, 'ledgers'), placeOf(namespace, fileId))}.log`;
}

export function mediaLedger(dataDir: string, id: string, namespace: string): string {
  return `${placePath(join(dataDir, 'ledgers'), { kind: 'media', namespace, name: id })}.log`;
}

export function uploadBytes(dataDir: string, fileId: string, namespace = 'public'): string {
  return placePath(join(dataDir, 'bytes'), placeOf(namespace, fileId));
}

/** Makes something that cannot be read as a file: the system then answers with an error that nobody foresaw. */
export function putFolderAt(path: string): void {
  mkdirSync(path, { recursive: true });
}
