// project/requirements.test.ts: docs/requirements.md is complete and true: every requirement and every rule is in it once, every test
// that it names exists by that very title, and whatever rule the source or the contract speaks of is there.
//
// Whether a named test proves its row no program can tell: who writes a row reads the test.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { citationsIn, expectCitations, rowsOf } from '../helpers/citations.ts';

const ROOT = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

interface Row {
  readonly id: string;
  readonly asks: string;
  readonly how: string;
  readonly proof: string;
  /** The number of cells: a stray `|` would move them. */
  readonly cells: number;
}

const ROWS: readonly Row[] = rowsOf(read('docs/requirements.md'), 'id').map((cells) => {
  const [id = '', asks = '', how = '', proof = ''] = cells;
  return { id, asks, how, proof, cells: cells.length };
});
const IDS = ROWS.map(({ id }) => id);

const range = (letter: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${letter}${i + 1}`);

const RULES = [...range('K', 6), ...range('C', 16), ...range('F', 8), ...range('D', 8)];

describe('the table of requirements', () => {
  it('has each of the 35 requirements and of the rules, and every id once', () => {
    const wanted = [...range('R', 35), ...RULES];
    expect(wanted.filter((id) => !IDS.includes(id))).toEqual([]);
    expect(IDS.filter((id) => !wanted.includes(id) && !/^§\d+\.\d+$/.test(id))).toEqual([]);
    expect(IDS.filter((id, at) => IDS.indexOf(id) !== at)).toEqual([]);
  });

  it('says in every row what is asked, and names a test or why there is none', () => {
    for (const { id, asks, how, proof, cells } of ROWS) {
      expect(cells, id).toBe(4);
      expect(asks, id).toMatch(/^[\S\s]{20,}[.)]\*?$/);
      const isUnproved = proof === '—';
      expect(isUnproved && !/^\*\*(Not this product|Not done|Decided otherwise):\*\* ./.test(how), id).toBe(
        false,
      );
      expect(isUnproved || citationsIn(proof).length > 0, id).toBe(true);
    }
  });

  it.each(ROWS)('names tests that exist, for $id', ({ proof }) => expectCitations(proof));

  it('has every rule that the source, the contract and the documents speak of', () => {
    const sources = readdirSync(new URL('src/', ROOT), { recursive: true, encoding: 'utf8' });
    const files = [
      ...sources.filter((name) => /\.c?ts$/.test(name)).map((name) => `src/${name}`),
      'openapi.yaml',
      'openapi-admin.yaml',
      'README.md',
      'docs/cookbook.md',
    ];
    expect(files.length).toBeGreaterThan(80);
    const mentioned = new Set(files.flatMap((file) => rulesIn(read(file))));
    expect(mentioned.size).toBeGreaterThan(30);
    expect([...mentioned].filter((rule) => !isKnown(rule))).toEqual([]);
  });

  it('marks as assumed what the contract marks so', () => {
    const assumed = assumedIn(parse(read('openapi.yaml')));
    expect(assumed.size).toBeGreaterThan(20);
    const unmarked = ROWS.filter(({ id, asks }) => assumed.has(id) && !asks.includes('assumed)*'));
    expect(unmarked.map(({ id }) => id)).toEqual([]);
  });
});

/** `C6`, and `§7` for a paragraph as a whole; paragraphs of other documents have their name before them. */
function rulesIn(text: string): string[] {
  const own = text.replaceAll(/(RFC \d+|api-facts|HTML) §[\d.]+(-\d+)?(, §[\d.]+)*/g, '');
  return [...own.matchAll(/\b[KCFD]\d{1,2}\b|§\d+/g)].map(([rule]) => rule);
}

function isKnown(rule: string): boolean {
  return IDS.includes(rule) || IDS.some((id) => id.startsWith(`${rule}.`));
}

/** The rules that some operation lists with `x-assumed`. */
function assumedIn(node: unknown): Set<string> {
  if (typeof node !== 'object' || node === null) return new Set();
  const own = 'id' in node && 'x-assumed' in node && node['x-assumed'] === true ? [String(node.id)] : [];
  return new Set([...own, ...Object.values(node).flatMap((inside) => [...assumedIn(inside)])]);
}
