import { readFile, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { environmentOf, flagOf, SETTING_NAMES, SETTINGS } from '../src/settings.ts';
import { ERRORS } from '../src/errors.ts';

const README = new URL('../README.md', import.meta.url);

/** `UPDATE_README=1 npx vitest run test/readme.test.ts` writes the tables anew. */
const isUpdate = process.env['UPDATE_README'] === '1';

function configTable(): string {
  const rows = SETTING_NAMES.map((name) => {
    const { default: fallback, placeholder, doc } = SETTINGS[name];
    return `| \`${`${flagOf(name)} ${placeholder}`.trim()}\` | ${fallback === '' ? '' : `\`${fallback}\``} | ${doc} |`;
  });
  return ['| flag | default | |', '|---|---|---|', ...rows].join('\n');
}

function errorTable(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { status, retryable, meaning }]) =>
      `| ${status} | \`${code}\` | ${retryable ? 'yes' : ''} | ${meaning} |`,
  );
  return ['| status | code | try again | meaning |', '|---|---|---|---|', ...rows].join('\n');
}

it.each([
  ['config', configTable()],
  ['error', errorTable()],
])("the README's %s table is the one in the code", async (name, table) => {
  const readme = await readFile(README, 'utf8');
  const begin = new RegExp(`<!-- ${name} table: .*? -->\n`).exec(readme);
  const from = (begin?.index ?? 0) + (begin?.[0].length ?? 0);
  const to = readme.indexOf(`<!-- end of ${name} table -->`);
  if (isUpdate) await writeFile(README, `${readme.slice(0, from)}${table}\n${readme.slice(to)}`);
  else expect(readme.slice(from, to).trim()).toBe(table);
});

it('every file that the README names exists', async () => {
  const readme = await readFile(README, 'utf8');
  const named = [...readme.matchAll(/`((?:test|src|bench)\/[\w./-]+\.ts)`/g)].map(([, path]) => path ?? '');
  expect(named.length).toBeGreaterThan(8);
  for (const path of new Set(named)) {
    await expect(readFile(new URL(`../${path}`, import.meta.url)), path).resolves.toBeDefined();
  }
});

it('every setting has a flag and an environment name of its own', () => {
  expect(new Set(SETTING_NAMES.flatMap((name) => [flagOf(name), environmentOf(name)])).size).toBe(
    SETTING_NAMES.length * 2,
  );
});
