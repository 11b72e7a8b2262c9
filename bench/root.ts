// bench/root.ts: finds the folder of this repository, both from the sources and from the build in .bench/.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Searches upwards for package.json: neither bench/ nor .bench/ has one. */
function rootAbove(folder: URL): URL {
  return existsSync(new URL('package.json', folder)) ? folder : rootAbove(new URL('../', folder));
}

const ROOT = rootAbove(new URL('./', import.meta.url));

export function inRepository(path: string): string {
  return fileURLToPath(new URL(path, ROOT));
}
