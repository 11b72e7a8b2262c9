// docs/requirements.test.ts: docs/requirements.md is what its generator makes of the titles of the tests. Each rule has a test.
import { describe, expect, it } from 'vitest';
import { MOST_CHARACTERS, readCitingTests, requirementsPage } from './requirements.ts';
import { isKnown, readPage, sectionsIn } from './rules.ts';

const SECTIONS = sectionsIn(readPage('docs/behaviour.md'));
const TESTS = readCitingTests();

describe('docs/requirements.md', () => {
  it('is fresh (npm run docs)', async () => {
    await expect(requirementsPage(SECTIONS, TESTS)).toMatchFileSnapshot('../../docs/requirements.md');
  });

  it('has a test for every rule, and no citation of a rule that there is not', () => {
    const cited = new Set(TESTS.flatMap(({ cites }) => cites));
    const rules = SECTIONS.flatMap(({ rules: ofSection }) => ofSection.map(({ id }) => id));
    expect(rules.filter((id) => !cited.has(id))).toEqual([]);
    expect([...cited].filter((id) => !isKnown(id, SECTIONS))).toEqual([]);
  });

  it('has no cell that is longer than a line', () => {
    const cells = requirementsPage(SECTIONS, TESTS)
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .flatMap((line) => line.split(' | '));
    expect(cells.length).toBeGreaterThan(1000);
    expect(cells.filter((cell) => cell.length > MOST_CHARACTERS)).toEqual([]);
  });
});
