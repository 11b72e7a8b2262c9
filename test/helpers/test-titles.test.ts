// test-titles.test.ts: finds the tests of a file that really run, and names them by the path that a reader sees.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { testTitlesIn } from './test-titles.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-titles-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function titlesOf(source: string): Promise<string[]> {
  const path = join(folder, 'sample.ts');
  await writeFile(path, source);
  return testTitlesIn(path);
}

it('titles are those of the source, below those of their groups', async () => {
  const source = `
    it('alone, and not "double"', () => {});
    describe('a group', () => {
      test('within', { timeout: 5 }, async () => {});
      describe.each(['a'])('of %s', (name) => {
        it.each([1, 2])('a row, %i', () => {});
        it.skipIf(!has)(\`n = \${count} of \${name}\`, () => {});
      });
      for (const one of many) it.for(many)('in a loop', () => {});
    });
    describe.skipIf(cannot).each(rows)("$name's", () => void it('deep', () => {}));`;
  expect(await titlesOf(source)).toEqual([
    'alone, and not "double"',
    'a group > within',
    'a group > of %s > a row, %i',
    'a group > of %s > n = ${count} of ${name}',
    'a group > in a loop',
    "$name's > deep",
  ]);
});

it('what never runs, has no title of its own or is only spoken of is no test', async () => {
  const source = `
    it.skip('skipped', () => {});
    it.todo('to do', () => {});
    describe.skip('a skipped group', () => it('within', () => {}));
    describe.skip.each(rows)('%s', () => it('within', () => {}));
    it(titleOf(one), () => {});
    // it('in a comment', () => {});
    const text = "it('in a text', () => {})";
    list.test('of something else', () => {});
    expect(it, 'it').toBe(1);`;
  expect(await titlesOf(source)).toEqual([]);
});
