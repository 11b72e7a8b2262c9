// docs/files.ts: the script and the style of the pages of the contracts: Swagger UI with ours behind it.
//
// A build packs them (a quarter of their length), so that what is installed needs no Swagger UI: its package is five times
// as large and reports its installations to its makers.
//
// Promises: once `readDocsFiles` has returned, no file is needed any more (D8).
// Must not know: what the page shows.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { gunzipSync, gzipSync } from 'node:zlib';

export const DOCS_FILES = {
  'page.js': { type: 'text/javascript; charset=utf-8', parts: ['swagger-ui-bundle.js', 'start.js'] },
  'page.css': { type: 'text/css; charset=utf-8', parts: ['swagger-ui.css', 'page.css'] },
} as const;
export type DocsFile = keyof typeof DOCS_FILES;

const NAMES: readonly DocsFile[] = ['page.js', 'page.css'];
/** They go with what is made of the package (Apache License 2.0, section 4). */
const LICENSES = ['LICENSE', 'NOTICE', 'swagger-ui-bundle.js.LICENSE.txt'];
const PACKED = 'dist/docs/';

const packed = new Map<DocsFile, Buffer>();

/** To be called before a server is ready. Running from src/ it does nothing: nobody replaces that. */
export function readDocsFiles(): void {
  if (isSource()) return;
  for (const name of NAMES) packedFile(name);
}

export function docsFile(name: DocsFile, isGzipTaken: boolean): Buffer {
  return isGzipTaken ? packedFile(name) : gunzipSync(packedFile(name));
}

function packedFile(name: DocsFile): Buffer {
  const known =
    packed.get(name) ?? (isSource() ? pack(name) : readFileSync(new URL(`${PACKED}${name}.gz`, root())));
  packed.set(name, known);
  return known;
}

/** The last step of the build (package.json). @public */
export function writePacked(): void {
  const folder = new URL(PACKED, root());
  mkdirSync(folder, { recursive: true });
  for (const name of NAMES) writeFileSync(new URL(`${name}.gz`, folder), pack(name));
  for (const name of LICENSES) writeFileSync(new URL(name, folder), readFileSync(ofSwaggerUi(name)));
}

function pack(name: DocsFile): Buffer {
  const [theirs, ours] = DOCS_FILES[name].parts;
  const parts = [ofSwaggerUi(theirs), new URL(`src/docs/${ours}`, root())];
  return gzipSync(parts.map((part) => readFileSync(part, 'utf8')).join('\n'), { level: 9 });
}

function ofSwaggerUi(file: string): string {
  return createRequire(import.meta.url).resolve(`swagger-ui-dist/${file}`);
}

function isSource(): boolean {
  return import.meta.url.endsWith('.ts');
}

/** This module is in src/ and in dist/, and the bundles that have it in them are elsewhere in dist/. */
function root(folder = new URL('.', import.meta.url)): URL {
  return existsSync(new URL('package.json', folder)) ? folder : root(new URL('..', folder));
}
