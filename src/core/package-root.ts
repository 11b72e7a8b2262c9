// core/package-root.ts: the folder of this package, which holds the contracts, src/ and dist/.
//
// Promises: works from every module in src/ and every file in dist/, bundles included, at any depth.
import { existsSync } from 'node:fs';

export const PACKAGE_ROOT: URL = rootOf(import.meta.url);

/** Whether this code runs from the build. Only built code may use built files: beside src/ they may be out of date. */
export const IS_BUILT: boolean = import.meta.url.startsWith(new URL('dist/', PACKAGE_ROOT).href);

/** @throws Error when no folder above has a package.json */
function rootOf(module: string): URL {
  for (let folder = new URL('./', module); ; folder = new URL('../', folder)) {
    if (existsSync(new URL('package.json', folder))) return folder;
    if (folder.pathname === '/') throw new Error(`no package.json above ${module}`);
  }
}
