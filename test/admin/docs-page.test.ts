// docs-page.test.ts: the page has everything of the contract, needs nothing from elsewhere, and escapes every value.

import { describe, expect, it } from 'vitest';
import { renderDocs } from '../../src/admin/docs-page.ts';
import { loadContract, type Contract } from '../../src/contract/contract.ts';

const contract = loadContract();
const page = renderDocs(contract);
const words = textOf(page);

function textOf(html: string): string {
  const text = html.replaceAll(/<style>.*?<\/style>/gs, '').replaceAll(/<[^>]*>/g, '');
  return collapse(text.replaceAll(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code))));
}

function collapse(text: string): string {
  return text.replaceAll(/[`*]/g, '').replaceAll(/\s+/g, ' ').trim();
}

function valuesOf(node: unknown, key: string): unknown[] {
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([name, value]) => (name === key ? [value] : valuesOf(value, key)));
}

describe('the page', () => {
  it.each(contract.operations)(
    'has a section for $operationId, and a link to it',
    ({ operationId, path, statuses }) => {
      const [, section = ''] = page.split(`<section id="${operationId}"`);
      const [own = ''] = section.split('</section>');
      expect(page).toContain(`href="#${operationId}"`);
      expect(own).toContain(`<code>${path}</code>`);
      for (const [status, { codes }] of statuses) {
        for (const expected of [`${status} `, ...codes]) expect(own).toContain(expected);
      }
    },
  );

  it('gives the reason of everything assumed, wherever in the contract it stands', () => {
    const { servers, components } = contract.document;
    const reasons = [
      contract.operations.map((operation) => ({ ...operation, statuses: null })),
      servers,
      components,
    ];
    const distinct = new Set(valuesOf(reasons, 'x-assumed-reason').map((reason) => collapse(String(reason))));
    expect(distinct.size).toBeGreaterThan(40);
    expect([...distinct].filter((reason) => !words.includes(reason))).toEqual([]);
  });

  it('needs no other file, script, font or site', () => {
    expect(page).not.toMatch(/<(script|link|img|iframe|object|embed|base|form)\b/i);
    expect(page).not.toMatch(/\b(src|srcset|action|data)=|@import|url\(/i);
    expect(page).not.toMatch(/\son\w+=/i);
    expect(
      [...page.matchAll(/href="([^"]*)"/g)].filter(([, target = '']) => !target.startsWith('#')),
    ).toEqual([]);
  });

  it('has ids that are unique and links that lead somewhere', () => {
    const ids = [...page.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id);
    const targets = [...page.matchAll(/(?:href="#|aria-labelledby=")([^"]*)"/g)].map(([, target]) => target);
    expect(new Set(ids).size).toBe(ids.length);
    expect(targets.filter((target) => !ids.includes(target))).toEqual([]);
  });

  it('escapes whatever the contract says', () => {
    const hostile = `"><script>alert('&')</script>`;
    const poisoned = JSON.parse(JSON.stringify(contract), (key, value: unknown) =>
      typeof value === 'string' && !['operationId', 'name', 'method'].includes(key)
        ? `${value}${hostile}`
        : value,
    ) as Contract;
    const operations = contract.operations.map(({ statuses }, index) => ({
      ...poisoned.operations[index],
      statuses,
    }));
    const rendered = renderDocs({ ...poisoned, operations: operations as unknown as Contract['operations'] });
    expect(rendered).toContain('&#60;script&#62;alert(&#39;&#38;&#39;)');
    expect(rendered).not.toContain('<script');
  });
});
