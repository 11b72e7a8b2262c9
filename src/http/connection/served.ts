// http/connection/served.ts: knows which methods each path has, from the registered routes.
//
// Promises: a literal path such as `/requests/count` has its own methods and none of the methods of `/requests/:seq`.
import type { FastifyInstance } from 'fastify';

export class ServedPaths {
  readonly #written = new Map<string, Set<string>>();
  readonly #patterns: { readonly pattern: RegExp; readonly methods: readonly string[] }[] = [];

  /** To be called before the routes are registered. */
  watch(app: FastifyInstance): void {
    app.addHook('onRoute', ({ method, url }) => {
      if (url.includes('*')) return; // The wildcard route of the CORS preflight.
      const methods = [method].flat();
      if (url.includes(':')) this.#patterns.push({ pattern: patternOf(url), methods });
      else this.#written.set(url, new Set([...(this.#written.get(url) ?? []), ...methods]));
    });
  }

  /** Empty: the path does not exist. */
  methodsOf(path: string): readonly string[] {
    const written = this.#written.get(path);
    if (written !== undefined) return [...written];
    return [
      ...new Set(this.#patterns.flatMap(({ pattern, methods }) => (pattern.test(path) ? methods : []))),
    ];
  }

  /** Whether the path is literal but does not have this method. The router would then read its last segment as a parameter. */
  isShadowed(path: string, method: string): boolean {
    return this.#written.get(path)?.has(method) === false;
  }
}

function patternOf(url: string): RegExp {
  return new RegExp(`^${url.replaceAll(/:\w+/g, '[^/]+')}$`);
}
