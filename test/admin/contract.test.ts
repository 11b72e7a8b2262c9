// contract.test.ts: the admin plane serves exactly what openapi-admin.yaml promises and refuses in the same way on every route;
// what the document says about rules matches the rule language.
import { readFileSync } from 'node:fs';
import type { RouteOptions } from 'fastify';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { RESET_SCOPES } from '../../src/control/namespace-commands.ts';
import { loadContract, type Operation } from '../../src/contract/contract.ts';
import { SETTING_NAMES } from '../../src/config/settings.ts';
import { EFFECT_NAMES, EFFECTS, PHASES } from '../../src/faults/effects.ts';
import { OPERATION_NAMES } from '../../src/contract/operations.ts';
import { readFault } from '../../src/faults/fault.ts';
import { matcherSchema } from '../../src/journal/matcher.ts';
import { OUTCOMES } from '../../src/journal/exchange.ts';
import { openTestServer } from '../helpers/app.ts';
import { DoubleClient } from '../helpers/double-client.ts';
import { openConnection, requestBytes } from '../helpers/raw.ts';

const contract = loadContract('openapi-admin.yaml');
const { schemas } = contract.document.components;

const EXAMPLES: Readonly<Record<string, string>> = { fileId: 'f', id: '0123456789abcdef01234567', seq: '1' };

/** A route of this operation, with values for its parameters. */
function pathOf({ path }: Operation): string {
  return `/__admin${path.replaceAll(/\{(\w+)\}/g, (_, name: string) => EXAMPLES[name] ?? name)}`;
}

const guarded = contract.operations.filter(({ tags }) => !tags.includes('Probes'));
const changing = guarded.filter(({ method }) => method !== 'GET');
const withBody = guarded.filter(({ requestBody }) => requestBody !== undefined);
const ofNamespace = guarded.filter(({ parameters = [] }) =>
  parameters.some(({ name }) => name === 'namespace'),
);

interface Refused {
  readonly error?: string;
  readonly details: Readonly<Record<string, unknown>>;
}

describe('the routes', () => {
  it('that are served are those that are promised', async () => {
    const served: RouteOptions[] = [];
    await openTestServer(
      {},
      { observe: (app) => app.addHook('onRoute', (route) => void served.push(route)) },
    );
    const own = served.filter(({ method, url }) => url.startsWith('/__admin') && method !== 'HEAD');
    const promised = contract.operations.map(
      ({ method, path }) => `${method} /__admin${path.replaceAll(/\{(\w+)\}/g, ':$1')}`,
    );
    expect(own.map(({ method, url }) => `${String(method)} ${url}`).toSorted()).toEqual(promised.toSorted());
  });

  it('take no other method, and say which they take', async () => {
    const client = new DoubleClient(await openTestServer());
    const paths = new Set(contract.operations.map(pathOf));
    for (const path of paths) {
      const { status, headers, body } = await client.ask<Refused>('PATCH', path);
      expect([path, status, body.error]).toEqual([path, 405, 'method_not_allowed']);
      const methods = contract.operations.filter((one) => pathOf(one) === path).map(({ method }) => method);
      expect(methods.every((method) => headers.allow?.includes(method))).toBe(true);
    }
  });
});

describe('every route', () => {
  it('but the probes and the documents wants the token where there is one, in constant answers', async () => {
    const server = await openTestServer({ adminToken: 'the-token' });
    const client = new DoubleClient(server, 'k');
    for (const operation of guarded.filter(({ tags }) => !tags.includes('Documents'))) {
      const { status, body } = await client.ask<Refused>(operation.method, pathOf(operation));
      expect([operation.operationId, status, body.error]).toEqual([
        operation.operationId,
        401,
        'admin_token_invalid',
      ]);
    }
    // Every package contains them, so they are no secret; and a browser cannot send a token when it opens a page.
    for (const operation of guarded.filter(({ tags }) => tags.includes('Documents'))) {
      const { status } = await client.ask(operation.method, pathOf(operation));
      expect([operation.operationId, status]).toEqual([operation.operationId, 200]);
    }
    expect((await client.admin('GET health')).status).toBe(200);
    expect((await client.admin('GET ready')).status).toBe(200);
  });

  it('but the probes answers, without a token, to no name that may be anybody’s', async () => {
    const client = new DoubleClient(await openTestServer(), 'k');
    for (const operation of guarded) {
      const { status, body } = await client.ask<Refused>(operation.method, pathOf(operation), {
        headers: { host: 'attacker.example' },
      });
      expect([operation.operationId, status, body.error]).toEqual([
        operation.operationId,
        403,
        'admin_host_forbidden',
      ]);
    }
  });

  it('but the probes answers, without a token, nobody who came through a proxy', async () => {
    const client = new DoubleClient(await openTestServer(), 'k');
    for (const operation of guarded) {
      const { status, body } = await client.ask<Refused>(operation.method, pathOf(operation), {
        headers: { 'x-forwarded-for': '10.0.0.1' },
      });
      expect([operation.operationId, status, body.error]).toEqual([
        operation.operationId,
        403,
        'admin_proxy_forbidden',
      ]);
    }
  });

  it('that changes something refuses a page of another origin', async () => {
    const client = new DoubleClient(await openTestServer(), 'k');
    for (const { operationId, method, ...route } of changing) {
      const path = pathOf({ operationId, method, ...route });
      const { status, body } = await client.ask<Refused>(method, path, {
        headers: { origin: 'https://example.com' },
      });
      expect([operationId, status, body.error]).toEqual([operationId, 403, 'admin_origin_forbidden']);
    }
  });

  it('about a namespace refuses one that is none', async () => {
    const client = new DoubleClient(await openTestServer(), 'k');
    for (const operation of ofNamespace) {
      const json = operation.requestBody === undefined ? {} : { json: bodyOf(operation) };
      for (const query of ['namespace=..', 'namespace=public&namespace=public']) {
        const { status, body } = await client.ask<Refused>(
          operation.method,
          `${pathOf(operation)}?${query}`,
          json,
        );
        expect([operation.operationId, status, body.error]).toEqual([
          operation.operationId,
          400,
          'invalid_request',
        ]);
        expect(body.details['fields']).toMatchObject([{ field: 'namespace' }]);
      }
    }
  });

  it('with a body refuses what is no JSON', async () => {
    const client = new DoubleClient(await openTestServer(), 'k');
    for (const operation of withBody) {
      for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded']) {
        const { status, body } = await client.ask<Refused>(operation.method, pathOf(operation), {
          headers: { 'content-type': type },
          body: '{"half":',
        });
        expect([operation.operationId, status, body.error]).toEqual([
          operation.operationId,
          400,
          'malformed_json',
        ]);
      }
      const notUtf8 = { body: Buffer.from('{"fileId":"\xff"}', 'latin1') };
      const { body } = await client.ask<Refused>(operation.method, pathOf(operation), notUtf8);
      expect([operation.operationId, body.error]).toEqual([operation.operationId, 'malformed_json']);
    }
  });

  it('with a body refuses too long a one before it is read', async () => {
    const server = await openTestServer();
    for (const operation of withBody) {
      const connection = await openConnection(server.port);
      const line = `${operation.method} ${pathOf(operation)}`;
      await connection.write(requestBytes(line, { 'content-length': 300 * 1024 * 1024 }));
      const answer = await connection.answer();
      expect([operation.operationId, answer?.status]).toEqual([operation.operationId, 413]);
      expect(answer?.text).toContain('body_too_large');
      connection.destroy();
    }
  });

  it('with a body refuses one that goes silent', async () => {
    const server = await openTestServer({ idleTimeout: '200ms' });
    for (const operation of withBody) {
      const connection = await openConnection(server.port);
      const line = `${operation.method} ${pathOf(operation)}`;
      await connection.write(requestBytes(line, { 'content-length': 10 }, '{"a'));
      const answer = await connection.answer();
      expect([operation.operationId, answer?.status]).toEqual([operation.operationId, 408]);
      expect(answer?.text).toContain('request_timeout');
      connection.destroy();
    }
  });

  it('with a body that may be left out works without one, and with none of JSON', async () => {
    const client = new DoubleClient(await openTestServer(), 'k');
    const optional = withBody.filter(
      ({ requestBody, operationId }) =>
        requestBody?.required !== true && !['waitForRequests', 'waitForRule'].includes(operationId ?? ''),
    );
    expect(optional.length).toBeGreaterThan(3);
    for (const operation of optional) {
      for (const headers of [{}, { 'content-type': 'application/json' }]) {
        const { status } = await client.ask(operation.method, pathOf(operation), { headers });
        expect([operation.operationId, status]).toEqual([operation.operationId, 200]);
      }
    }
  });

  it('of the journal says so when there is none', async () => {
    const client = new DoubleClient(await openTestServer({ noJournal: true }), 'k');
    const journal = contract.operations.filter(({ tags }) => tags.includes('Journal'));
    expect(journal).toHaveLength(8);
    for (const operation of journal) {
      const { status, body } = await client.ask<Refused>(operation.method, pathOf(operation));
      expect([operation.operationId, status, body.error]).toEqual([
        operation.operationId,
        409,
        'journal_off',
      ]);
    }
  });
});

/** A body that is good enough for the request to reach the namespace. */
function bodyOf({ operationId }: Operation): unknown {
  if (operationId === 'replaceRules' || operationId === 'addRules') return [];
  return operationId === 'importState' ? { uploads: [] } : {};
}

it('curl -d is enough: a body is JSON whatever its type says', async () => {
  const client = new DoubleClient(await openTestServer(), 'k');
  const { status, body } = await client.ask<{ rules: unknown[] }>('POST', '/__admin/rules', {
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: '{"fault":"close"}',
  });
  expect([status, body.rules.length]).toEqual([201, 1]);
});

describe('the documents', () => {
  it.each([
    ['openapi.yaml', 'docs', 'Xenonflare media upload', 'uploadChunk'],
    ['openapi-admin.yaml', 'docs-admin', 'xenonflare-mock admin plane', 'waitForRequests'],
  ])(
    '%s is served as it is, and as a page that leads to the other one',
    async (...[name, page, title, operationId]) => {
      const client = new DoubleClient(await openTestServer());
      const yaml = await client.admin(`GET ${name}`);
      expect(yaml.headers['content-type']).toBe('application/yaml; charset=utf-8');
      expect(yaml.text).toBe(readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8'));
      const html = await client.admin(`GET ${page}`);
      expect(html.headers['content-type']).toBe('text/html; charset=utf-8');
      expect(html.text).toContain(`"title":"${title}"`);
      expect(html.text).toContain(`"operationId":"${operationId}"`);
      const links = [...html.text.matchAll(/<a href="([^"]+)"/g)].map(([, href]) => href ?? '');
      expect(links).toEqual([page === 'docs' ? 'docs-admin' : 'docs', name, name]);
      for (const href of links) expect((await client.admin(`GET ${href}`)).status).toBe(200);
    },
  );

  it('config shows every setting that there is', async () => {
    const client = new DoubleClient(await openTestServer());
    const { body } = await client.admin('GET config');
    expect(Object.keys(body)).toEqual(SETTING_NAMES);
  });
});

describe('what the document says of rules', () => {
  const check = (fault: unknown): string[] =>
    contract.checkRequest({ operationId: 'addRules', contentType: 'application/json', body: { fault } });
  const isRead = (fault: unknown): boolean => 'fault' in readFault(fault);

  const ARGUMENTS: Readonly<Record<string, unknown>> = {
    ms: '250ms',
    jitterMs: 5,
    status: 503,
    retryAfter: 2,
    headers: { Location: '/elsewhere', 'X-RateLimit-Remaining': ['0', '1'] },
    body: 'text',
    html: true,
    closing: true,
    bytesPerSecond: '64KiB/s',
    bytes: 10,
    platform: 'youtube',
    reason: 'because',
    atByte: '1KiB',
  };

  it.each(EFFECT_NAMES)('of %s: its phases and parameters, as a text and as an object', (effect) => {
    const { phases, params } = EFFECTS[effect];
    const needed = Object.entries(params.shape)
      .filter(([, schema]) => !(schema as z.ZodType).safeParse(undefined).success)
      .map(([name]) => name);
    const least = Object.fromEntries(needed.map((name) => [name, ARGUMENTS[name]]));
    const text = (phase: string): string =>
      `${effect}@${phase}${needed.length === 0 ? '' : `:${needed.map((name) => `${name}=${String(ARGUMENTS[name])}`).join(',')}`}`;
    for (const phase of PHASES) {
      const object = { effect, phase, ...least };
      const isPossible = (phases as readonly string[]).includes(phase);
      expect([phase, isRead(object)]).toEqual([phase, isPossible]);
      expect([phase, isRead(text(phase))]).toEqual([phase, isPossible]);
      if (isPossible) expect([phase, check(object), check(text(phase))]).toEqual([phase, [], []]);
    }
    for (const name of needed) expect(check({ effect, ...least, [name]: undefined })).not.toEqual([]);
    for (const [name, value] of Object.entries(ARGUMENTS)) {
      const object = { effect, ...least, [name]: value };
      if (isRead(object)) expect([name, check(object)]).toEqual([name, []]);
      else if (name !== 'atByte') expect([name, check(object).length > 0]).toEqual([name, true]);
    }
  });

  it('a text that is no fault is none to the document, either', () => {
    for (const fault of ['', 'explode', 'reset@nowhere', 'reset body', 7, null, {}])
      expect([fault, isRead(fault), check(fault).length > 0]).toEqual([fault, false, true]);
  });

  it('names the operations, outcomes and scopes that there are', () => {
    const operations = schemas['RuleMatch']?.properties?.['operation']?.enum;
    expect(operations).toEqual([...OPERATION_NAMES, null]);
    expect(schemas['Outcome']?.enum).toEqual(OUTCOMES);
    expect(schemas['ResetScope']?.enum).toEqual(RESET_SCOPES);
  });

  it('names the matcher fields that there are, in bodies and in the query', () => {
    expect(Object.keys(schemas['MatcherFields']?.properties ?? {})).toEqual(Object.keys(matcherSchema.shape));
    const listed = contract.operations.find(({ operationId }) => operationId === 'listRequests');
    const queried = listed?.parameters?.map(({ name }) => name) ?? [];
    expect(Object.keys(matcherSchema.shape).filter((name) => !queried.includes(name))).toEqual([]);
  });
});
