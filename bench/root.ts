// bench/root.ts: the folder of this repository, from the sources and from what tsc makes of them in .bench/ alike.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Neither bench/ nor .bench/ has a package.json of its own. */
function rootAbove(folder: URL): URL {
  return existsSync(new URL('package.json', folder)) ? folder : rootAbove(new URL('../', folder));
}

const ROOT = rootAbove(new URL('./', import.meta.url));

export function inRepository(path: string): string {
  return fileURLToPath(new URL(path, ROOT));
}
