// docs-page.test.ts: the page shows everything of the contract, needs nothing from other servers, and no text of the contract can
// break its markup. test/browser/docs.browser.ts tests it in a browser.
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { shownDocument } from '../../src/admin/docs-document.ts';
import { pageHeaders, renderDocs } from '../../src/admin/docs-page.ts';
import { writtenDocument, type DocumentName, type Schema } from '../../src/contract/document.ts';
import { loadContract } from '../../src/contract/contract.ts';
import { docsFile } from '../../src/docs/files.ts';
import { ask, openTestServer } from '../helpers/app.ts';

const DOCUMENTS = ['openapi.yaml', 'openapi-admin.yaml'] as const;

/** Of the same keys; what is read here is compared, not trusted. */
type Node = Readonly<Record<string, unknown>>;

function nodesOf(node: unknown): Node[] {
  if (typeof node !== 'object' || node === null) return [];
  const inner = Object.values(node).flatMap(nodesOf);
  return Array.isArray(node) ? inner : [node as Node, ...inner];
}

function textsOf(node: unknown): string {
  return nodesOf(node)
    .map(({ description }) => (typeof description === 'string' ? description : ''))
    .join('\n');
}

const count = (text: string, part: string): number => text.split(part).length - 1;
const shownOf = (name: DocumentName, origin = ''): unknown => shownDocument(writtenDocument(name), origin);

describe('what is shown', () => {
  it('marks everything assumed where it stands, with its reason', () => {
    const written = nodesOf(writtenDocument('openapi.yaml')).filter((node) => node['x-assumed'] === true);
    const texts = textsOf(shownOf('openapi.yaml'));
    expect(written.length).toBeGreaterThan(100);
    for (const reason of new Set(written.map((node) => String(node['x-assumed-reason']))))
      expect([reason, count(texts, `<mark>assumed</mark> ${reason}`) > 0]).toEqual([reason, true]);
    // An example has a summary and no description of its own; its mark makes one.
    expect(count(texts, '<mark>')).toBeGreaterThanOrEqual(written.length);
  });

  it('has a description for a property of that name, and leaves it alone', () => {
    const document = { components: { schemas: { S: { properties: { description: { type: 'string' } } } } } };
    expect(shownDocument(document, '')).toMatchObject(document);
  });

  it('leaves what clients send and get as it is, whatever its fields are called', () => {
    const value = { 'x-assumed': true, 'x-rules': [], description: 1 };
    const document = { components: { examples: { e: { summary: 's', value } } } };
    expect(shownDocument(document, '')).toMatchObject(document);
  });

  it.each(DOCUMENTS)('tells the rules, the codes of each status and what they mean: %s', (name) => {
    const texts = textsOf(shownOf(name));
    const { operations, document } = loadContract(name);
    const { 'x-enumDescriptions': meanings = {}, 'x-retryable': retryable = [] } = Object(
      document.components.schemas['ErrorCode'],
    ) as Schema;
    const rules = operations.flatMap((operation) => operation['x-rules'] ?? []);
    const codes = operations.flatMap(({ statuses }) => [...statuses.values()].flatMap((one) => one.codes));
    expect(codes.length).toBeGreaterThan(20);
    const lines = [
      ...rules.map(({ id, text }) => `- **${id}** ${text}`),
      ...codes.map(
        (code) => `- \`${code}\` ${meanings[code]}${retryable.includes(code) ? ' Retryable.' : ''}`,
      ),
    ];
    expect(lines.filter((line) => !texts.includes(line))).toEqual([]);
  });

  it('has the bodies that are taken beside those of the contract', () => {
    const bodies = nodesOf(shownOf('openapi.yaml')).filter(
      ({ content }) => Object(content)['application/x-www-form-urlencoded'] !== undefined,
    );
    expect(bodies.map(({ content }) => Object.keys(Object(content)))).toEqual(
      Array.from({ length: 2 }, () => [
        'multipart/form-data',
        'application/json',
        'application/x-www-form-urlencoded',
      ]),
    );
  });

  it('has its servers at the origin of the contract, where the page has another one', () => {
    const serversAt = (origin: string): unknown => (shownOf('openapi.yaml', origin) as Node)['servers'];
    expect(serversAt('')).toEqual([{ url: '/' }, { url: '/api/v1' }]);
    expect(serversAt('http://127.0.0.1:1')).toEqual([
      { url: 'http://127.0.0.1:1/' },
      { url: 'http://127.0.0.1:1/api/v1' },
    ]);
  });
});

describe('the page', () => {
  const page = renderDocs({ name: 'openapi.yaml', title: 'T', links: [], origin: null });

  it('loads its script and its style from beside it, and nothing from elsewhere', () => {
    const loaded = [...page.matchAll(/<(?:script|link|img)[^>]*?(?:src|href)="([^"]*)"/g)].map(
      ([, at]) => at,
    );
    expect(loaded).toEqual(['data:,', 'docs/page.css', 'docs/page.js']);
    expect(page).not.toMatch(/\son\w+=|<style|style="/i);
    expect(page.match(/<script\b[^>]*>/g)).toEqual([
      '<script type="application/json" id="contract">',
      '<script src="docs/page.js" defer>',
    ]);
  });

  it('has a contract in it that no text of it can end', () => {
    const [, block = ''] = /id="contract">(.*?)<\/script>/s.exec(page) ?? [];
    expect(block).not.toContain('<');
    expect(JSON.parse(block)).toEqual(shownOf('openapi.yaml'));
  });

  it('escapes what it is given', () => {
    const hostile = `"><script>`;
    const links = [{ href: hostile, text: hostile }];
    expect(renderDocs({ name: 'openapi.yaml', title: hostile, links, origin: null })).not.toContain(hostile);
  });

  it('has a policy that lets it speak to its own server and to that of the contract', () => {
    const policyOf = (origin: string | null): string =>
      String(pageHeaders(origin)['content-security-policy']);
    expect(policyOf(null)).toContain("connect-src 'self';");
    expect(policyOf('http://127.0.0.1:1')).toContain("connect-src 'self' http://127.0.0.1:1;");
    expect(policyOf(null)).not.toContain('unsafe');
  });
});

describe('the files of the page', () => {
  it('are Swagger UI and what is ours, behind one another', () => {
    expect(docsFile('page.js', false).toString()).toMatch(/SwaggerUIBundle[^]+globalThis\.SwaggerUIBundle\(/);
    expect(docsFile('page.css', false).toString()).toMatch(/\.swagger-ui[^]+\.swagger-ui mark/);
    expect(gunzipSync(docsFile('page.css', true))).toEqual(docsFile('page.css', false));
  });

  it.each([
    ['page.js', 'text/javascript; charset=utf-8'],
    ['page.css', 'text/css; charset=utf-8'],
  ] as const)('are sent packed to who takes that, and whole to who does not: %s', async (name, type) => {
    const server = await openTestServer();
    for (const [coding, sent] of [
      ['gzip, br', 'gzip'],
      ['identity', null],
      ['gzip;q=0', null],
    ] as const) {
      const answer = await ask(server, `/__admin/docs/${name}`, { headers: { 'accept-encoding': coding } });
      expect([
        answer.status,
        answer.headers.get('content-type'),
        answer.headers.get('content-encoding'),
      ]).toEqual([200, type, sent]);
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
      expect(answer.text).toBe(docsFile(name, false).toString());
    }
  });
});

describe('where the paths are that are tried out', () => {
  const connectOf = async (url: string): Promise<string | undefined> => {
    const { headers } = await ask({ url }, '/__admin/docs');
    return /connect-src ([^;]*)/.exec(headers.get('content-security-policy') ?? '')?.[1];
  };

  it('is where the page is', async () => {
    expect(await connectOf((await openTestServer()).url)).toBe("'self'");
  });

  it('is the port of the contract, where the plane has one of its own', async () => {
    const server = await openTestServer({ adminPort: 0 });
    const origin = new URL(server.adminUrl ?? '').origin;
    expect(await connectOf(origin)).toBe(`'self' ${server.url}`);
  });

  it('is the address by which the page was found, where the contract is on every one', async () => {
    const server = await openTestServer({ adminPort: 0, host: '0.0.0.0' });
    const origin = new URL(server.adminUrl ?? '').origin;
    expect(await connectOf(origin)).toBe(`'self' http://127.0.0.1:${server.port}`);
  });
});
