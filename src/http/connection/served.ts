// http/connection/served.ts: which methods a path has, by the routes that were registered.
//
// Promises: a path that is written out, such as `/requests/count`, has its own methods and none of `/requests/:seq`.
// Must not know: what the routes do.
import type { FastifyInstance } from 'fastify';

export class ServedPaths {
  readonly #written = new Map<string, Set<string>>();
  readonly #patterns: { readonly pattern: RegExp; readonly methods: readonly string[] }[] = [];

  /** To be called before the routes are registered. */
  watch(app: FastifyInstance): void {
    app.addHook('onRoute', ({ method, url }) => {
      if (url.includes('*')) return; // The wildcard of the CORS preflight.
      const methods = [method].flat();
      if (url.includes(':')) this.#patterns.push({ pattern: patternOf(url), methods });
      else this.#written.set(url, new Set([...(this.#written.get(url) ?? []), ...methods]));
    });
  }

  /** Empty: there is no such path. */
  methodsOf(path: string): readonly string[] {
    const written = this.#written.get(path);
    if (written !== undefined) return [...written];
    return [
      ...new Set(this.#patterns.flatMap(({ pattern, methods }) => (pattern.test(path) ? methods : []))),
    ];
  }

  /** Whether the path is written out, and not for this method: the router then takes it for a value of a parameter. */
  isShadowed(path: string, method: string): boolean {
    return this.#written.get(path)?.has(method) === false;
  }
}

function patternOf(url: string): RegExp {
  return new RegExp(`^${url.replaceAll(/:\w+/g, '[^/]+')}$`);
}
