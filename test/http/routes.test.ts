// routes.test.ts: the server serves what openapi.yaml promises, under both prefixes, and nothing else beside its admin plane.
import type { RouteOptions } from 'fastify';
import { describe, expect, it } from 'vitest';
import type { ConfigInput } from '../../src/config/options.ts';
import { loadContract } from '../../src/contract/contract.ts';
import { openTestServer } from '../helpers/app.ts';

const contract = loadContract();

async function servedRoutes(settings: ConfigInput = {}): Promise<RouteOptions[]> {
  const routes: RouteOptions[] = [];
  await openTestServer(settings, {
    observe: (app) => app.addHook('onRoute', (route) => void routes.push(route)),
  });
  return routes;
}

const nameOf = ({ method, url }: Pick<RouteOptions, 'method' | 'url'>): string =>
  `${[method].flat().join('|')} ${url}`;

/** HEAD comes with each GET, and the wildcard answers preflights. */
const isOwn = ({ method, url }: RouteOptions): boolean => method !== 'HEAD' && !url.endsWith('*');

const promised = contract.document.servers.flatMap(({ url: prefix }) =>
  contract.operations.map(({ operationId, method, path }) => ({
    operationId,
    name: `${method} ${prefix === '/' ? '' : prefix}${path.replaceAll(/\{(\w+)\}/g, ':$1')}`,
  })),
);

describe('served and promised', () => {
  it('are the same routes, each under its operationId (§1.1)', async () => {
    const served = (await servedRoutes()).filter(
      (route) => isOwn(route) && !route.url.startsWith('/__admin'),
    );
    const names = served.map((route) => ({ operationId: route.config?.operationId, name: nameOf(route) }));
    const byName = (a: { name: string }, b: { name: string }): number => a.name.localeCompare(b.name);
    expect(names.toSorted(byName)).toEqual(promised.toSorted(byName));
  });

  it('need a key alike', async () => {
    const served = (await servedRoutes()).filter(
      (route) => route.config?.operationId !== undefined && isOwn(route),
    );
    for (const route of served) {
      const operation = contract.operations.find(
        ({ operationId }) => operationId === route.config?.operationId,
      );
      expect([nameOf(route), route.config?.isKeyOptional === true]).toEqual([
        nameOf(route),
        operation?.isKeyOptional,
      ]);
    }
  });

  it('are the same with every setting that changes how they work', async () => {
    const names = async (settings: ConfigInput): Promise<string[]> =>
      (await servedRoutes(settings))
        .filter((route) => !route.url.startsWith('/__admin'))
        .map(nameOf)
        .toSorted();
    const usual = await names({});
    const others: ConfigInput[] = [
      { strict: true },
      { apiKeys: ['k'] },
      { mediaCheck: 'off' },
      { host: '0.0.0.0' },
    ];
    for (const settings of others) expect(await names(settings)).toEqual(usual);
  });
});

it('everything else is under /__admin, and none of it under a prefix (§1.3)', async () => {
  const others = (await servedRoutes()).filter(
    (route) => isOwn(route) && route.config?.operationId === undefined,
  );
  expect(others.length).toBeGreaterThan(10);
  expect(others.map(({ url }) => url).filter((url) => !url.startsWith('/__admin/'))).toEqual([]);
});

it('an admin port of its own serves no operation', async () => {
  const routes = await servedRoutes({ adminPort: 0 });
  const count = routes.filter((route) => isOwn(route) && route.config?.operationId !== undefined).length;
  expect(count).toBe(promised.length);
});
