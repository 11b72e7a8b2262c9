// docs/files.ts: the script and the style of the contract pages: those of Swagger UI, followed by our own.
//
// A build packs them (a quarter of their length), so that what is installed needs no Swagger UI: its package is five times
// as large and reports its installations to its makers.
//
// Promises: once `readDocsFiles` has returned, no file is needed any more (D8).
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { gunzipSync, gzipSync } from 'node:zlib';
import { IS_BUILT, PACKAGE_ROOT } from '../core/package-root.ts';

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
  if (!IS_BUILT) return;
  for (const name of NAMES) packedFile(name);
}

export function docsFile(name: DocsFile, isGzipTaken: boolean): Buffer {
  return isGzipTaken ? packedFile(name) : gunzipSync(packedFile(name));
}

function packedFile(name: DocsFile): Buffer {
  const known =
    packed.get(name) ?? (IS_BUILT ? readFileSync(new URL(`${PACKED}${name}.gz`, PACKAGE_ROOT)) : pack(name));
  packed.set(name, known);
  return known;
}

/** The last step of the build (package.json). @public */
export function writePacked(): void {
  const folder = new URL(PACKED, PACKAGE_ROOT);
  mkdirSync(folder, { recursive: true });
  for (const name of NAMES) writeFileSync(new URL(`${name}.gz`, folder), pack(name));
  for (const name of LICENSES) writeFileSync(new URL(name, folder), readFileSync(ofSwaggerUi(name)));
}

function pack(name: DocsFile): Buffer {
  const [theirs, ours] = DOCS_FILES[name].parts;
  const parts = [ofSwaggerUi(theirs), new URL(`src/docs/${ours}`, PACKAGE_ROOT)];
  return gzipSync(parts.map((part) => readFileSync(part, 'utf8')).join('\n'), { level: 9 });
}

function ofSwaggerUi(file: string): string {
  return createRequire(import.meta.url).resolve(`swagger-ui-dist/${file}`);
}
