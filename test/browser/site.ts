// site.ts: the web site whose page uploads. It has its own origin, so CORS applies to everything that it sends to the server.
//
// Promises: page.js is bundled as an application would bundle it, with the examples unchanged and the libraries of this folder's
// package.json.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll } from 'vitest';

const ENTRY = fileURLToPath(new URL('page.js', import.meta.url));
const LIBRARIES = fileURLToPath(new URL('node_modules', import.meta.url));
const HTML =
  '<!doctype html><meta charset="utf-8"><title>uploads</title><script type="module" src="/page.js"></script>';

/** To be called at the top of a test file. Gives the site's origin, in tests. */
export function useSite(): () => string {
  let server: Server | undefined;
  beforeAll(async () => {
    const script = await bundled();
    server = createServer((request, response) => {
      const isScript = request.url === '/page.js';
      response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html');
      response.end(isScript ? script : HTML);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => {
    server?.closeAllConnections();
    server?.close();
  });
  return () => {
    const address = server?.address();
    if (typeof address !== 'object' || address === null) throw new Error('the site is there in tests only');
    return `http://127.0.0.1:${address.port}`;
  };
}

async function bundled(): Promise<string> {
  // Fine Uploader contains an eval for browsers without JSON.
  const bundle = await rolldown({
    input: ENTRY,
    platform: 'browser',
    checks: { eval: false },
    resolve: { modules: ['node_modules', LIBRARIES] },
  });
  try {
    const { output } = await bundle.generate({ format: 'esm' });
    return output[0].code;
  } finally {
    await bundle.close();
  }
}
