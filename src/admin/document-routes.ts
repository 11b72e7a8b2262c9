// admin/document-routes.ts: the two contracts, as they are and as pages on which they can be tried out.
//
// Promises: nothing here tells more than the package does that everybody can install, so no token is asked for: a browser
// has none to send when it opens a page. What is tried out on the page asks for it.
import type { FastifyInstance } from 'fastify';
import { DOCS_FILES, docsFile, type DocsFile } from '../docs/files.ts';
import { takesGzip } from './accept.ts';
import { requireLocalNameUnlessToken } from './access.ts';
import { pageHeaders, renderDocs } from './docs-page.ts';
import type { AdminOptions } from './plane.ts';

const API = { name: 'openapi.yaml', page: 'docs', title: 'The media-upload API' } as const;
const PLANE = { name: 'openapi-admin.yaml', page: 'docs-admin', title: 'The admin plane' } as const;

const ANY_ADDRESS = new Set(['0.0.0.0', '[::]']);

export async function documentRoutes(app: FastifyInstance, options: AdminOptions): Promise<void> {
  requireLocalNameUnlessToken(app, options.token, options.corsOrigin);
  for (const [own, other] of [
    [API, PLANE],
    [PLANE, API],
  ] as const) {
    app.get(`/${own.name}`, (_request, reply) =>
      reply.type('application/yaml; charset=utf-8').send(options.contract(own.name).text),
    );
    app.get(`/${own.page}`, (request, reply) => {
      const origin = own === API ? contractOrigin(options, request.hostname) : null;
      const links = [
        { href: other.page, text: other.title },
        { href: own.name, text: own.name },
      ];
      return reply.headers(pageHeaders(origin)).send(renderDocs({ ...own, links, origin }));
    });
  }
  for (const name of Object.keys(DOCS_FILES) as DocsFile[]) serveFile(app, name);
}

/** Of the contract's paths, when the plane has a port of its own: what is tried out goes there. */
function contractOrigin({ hasOwnPort, contractUrl }: AdminOptions, hostname: string): string | null {
  if (!hasOwnPort) return null;
  const url = new URL(contractUrl());
  // Bound to every address of the machine, it is where the page was found, too.
  if (ANY_ADDRESS.has(url.hostname)) url.hostname = hostname;
  return url.origin;
}

function serveFile(app: FastifyInstance, name: DocsFile): void {
  app.get(`/docs/${name}`, (request, reply) => {
    const isGzip = takesGzip(request);
    if (isGzip) reply.header('content-encoding', 'gzip');
    return reply
      .type(DOCS_FILES[name].type)
      .headers({ vary: 'Accept-Encoding', 'x-content-type-options': 'nosniff' })
      .send(docsFile(name, isGzip));
  });
}
