// docs/behaviour.test.ts: docs/behaviour.md has every rule that is cited anywhere, once, with the marks of the contract.
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { citedIn, filesBelow, isKnown, readPage, sectionsIn } from './rules.ts';

const SECTIONS = sectionsIn(readPage('docs/behaviour.md'));
const RULES = SECTIONS.flatMap(({ rules }) => rules);
/** The letters of the sections whose rules have letters of their own. */
const LETTERS: Readonly<Record<string, string>> = { '§2': 'K', '§3': 'C', '§4': 'F', '§6': 'D' };

describe('docs/behaviour.md', () => {
  it('numbers the rules of each section from the first to the last', () => {
    expect(SECTIONS.map(({ heading }) => heading.split(' ')[0])).toEqual(
      Array.from({ length: 12 }, (_, at) => `§${at}`),
    );
    for (const { heading, rules } of SECTIONS) {
      const [section = ''] = heading.split(' ');
      const prefix = LETTERS[section] ?? `${section}.`;
      expect(rules.map(({ id }) => id)).toEqual(rules.map((_, at) => `${prefix}${at + 1}`));
    }
  });

  it('says each rule in whole sentences', () => {
    expect(RULES.length).toBeGreaterThan(100);
    for (const { id, text } of RULES) expect(text, id).toMatch(/^\S.{20,}[.)]$/);
  });

  it('has every rule that the source, the contracts, the tests and the documents cite', () => {
    const files = [
      ...['src/', 'test/', 'bench/', 'examples/'].flatMap((folder) =>
        filesBelow(folder, /\.(c?ts|mjs|js|md)$/),
      ),
      ...filesBelow('docs/', /\.md$/),
      'openapi.yaml',
      'openapi-admin.yaml',
      'README.md',
      'SECURITY.md',
      'CHANGELOG.md',
      'CONTRIBUTING.md',
    ];
    const cited = files.flatMap((file) => citedIn(readPage(file)).map((id) => ({ file, id })));
    expect(cited.length).toBeGreaterThan(500);
    expect(cited.filter(({ id }) => !isKnown(id, SECTIONS))).toEqual([]);
  });

  it('marks as assumed what the contract marks so', () => {
    const assumed = assumedIn(parse(readPage('openapi.yaml')));
    expect(assumed.size).toBeGreaterThan(20);
    const unmarked = RULES.filter(({ id, text }) => assumed.has(id) && !text.includes('*(assumed)*'));
    expect(unmarked.map(({ id }) => id)).toEqual([]);
  });
});

/** The rules that some operation lists with `x-assumed`. */
function assumedIn(node: unknown): Set<string> {
  if (typeof node !== 'object' || node === null) return new Set();
  const own = 'id' in node && 'x-assumed' in node && node['x-assumed'] === true ? [String(node.id)] : [];
  return new Set([...own, ...Object.values(node).flatMap((inside) => [...assumedIn(inside)])]);
}
