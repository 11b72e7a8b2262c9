// Test files share processes (vitest.config.ts): a hook at the top of a helper would work only for the first file that imports the
// helper.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { afterEachTest } from '../helpers/after-each-test.ts';

const HERE = fileURLToPath(new URL('../', import.meta.url));
/** Suites of their own; each of their files has its own process. */
const ISOLATED = /^(browser|deep|generators|proxies|senders)\//;
const HOOK = /^(before|after)(Each|All)\(/m;

it('no helper has a hook of its own at its top, except the one that all of them use', () => {
  const helpers = readdirSync(HERE, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !ISOLATED.test(name),
  );
  expect(helpers).toContain('helpers/app.ts');
  const hooked = helpers.filter((name) => HOOK.test(readFileSync(`${HERE}${name}`, 'utf8')));
  expect(hooked).toEqual(['helpers/after-each-test.ts']);
});

describe('what is to be done after each test', { shuffle: false }, () => {
  const done: string[] = [];
  afterEachTest(() => void done.push('early'));
  afterEachTest(async () => void done.push('late'));

  it('is done at its end', () => {
    done.length = 0;
  });
  it('and was, the latest first, when the next one begins', () => expect(done).toEqual(['late', 'early']));
});
