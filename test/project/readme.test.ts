// project/readme.test.ts: the README is short, its links lead somewhere, and its examples run as they are shown.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { environmentOf, flagOf, SETTING_NAMES } from '../../src/config/settings.ts';
import { startServer } from '../../src/index.ts';
import { hasCurl } from '../helpers/curl.ts';

const ROOT = new URL('../../', import.meta.url);
const run = promisify(execFile);

let readme: string;

beforeAll(async () => {
  readme = await readFile(new URL('README.md', ROOT), 'utf8');
});

/** The code of every block of this language. */
function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(
    ([, code = '']) => code,
  );
}

describe('README.md', () => {
  it('has at most 1,500 words', () => {
    expect(readme.split(/\s+/).length).toBeLessThanOrEqual(1500);
  });

  it('links to nothing that is not there', () => {
    const targets = [...readme.matchAll(/\]\(([^)#]+)[^)]*\)/g)].map(([, target = '']) => target);
    expect(targets.length).toBeGreaterThan(15);
    expect(targets.filter((target) => !existsSync(new URL(target, ROOT)))).toEqual([]);
  });

  it('names the package, its commands and its settings as they are', async () => {
    const manifest = JSON.parse(await readFile(new URL('package.json', ROOT), 'utf8')) as {
      name: string;
      bin: Record<string, string>;
      scripts: Record<string, string>;
    };
    expect(readme).toContain(`npm i -D ${manifest.name} `);
    expect(Object.keys(manifest.bin)).toEqual([/npx (\S+)/.exec(readme)?.[1]]);
    const scripts = [...readme.matchAll(/npm (?:run ([a-z:]*[a-z])|(start|test))/g)].map(
      ([, one, other]) => one ?? other ?? '',
    );
    expect(scripts).toEqual(expect.arrayContaining(['start', 'test', 'demo']));
    expect(scripts.filter((name) => !Object.hasOwn(manifest.scripts, name))).toEqual([]);
    const flags = [...readme.replaceAll(/^```.*?^```$/gms, '').matchAll(/`[^`\n]*?(--[a-z][a-z-]+)/g)].map(
      ([, flag = '']) => flag,
    );
    const known = new Set(SETTING_NAMES.map(flagOf));
    expect(flags.length).toBeGreaterThan(5);
    expect(flags.filter((flag) => !known.has(flag))).toEqual([]);
  });
});

describe('an example of the README', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-readme-'));
    await mkdir(join(folder, 'node_modules'));
    await symlink(fileURLToPath(ROOT), join(folder, 'node_modules', 'xenonflare-mock'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('passes as a test: the one with a fault', async () => {
    const [code = '', ...more] = blocks('js');
    expect(more).toEqual([]);
    const [, name = ''] = /^\/\/ (\S+), run by: node --test\n/.exec(code) ?? [];
    await writeFile(join(folder, name), code);
    const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
    const { stdout } = await run(process.execPath, ['--test', '--test-reporter=tap', name], {
      cwd: folder,
      env: environment,
      timeout: 120_000,
    });
    expect(stdout).toContain('# pass 1\n');
    expect(stdout).toContain('# fail 0\n');
  });

  it.skipIf(!hasCurl)('does in a shell what the page says: an upload, then a fault', async () => {
    const server = await startServer();
    onTestFinished(() => server.close());
    const [upload = '', fault = ''] = blocks('sh').filter((code) => code.includes('$U/'));
    const given = `U=http://127.0.0.1:4310\n`;
    expect(upload.startsWith(given)).toBe(true);
    const sending = [0, 1, 2]
      .map(
        (index) =>
          `printf x | curl -F file=@- -F chunkIndex=${index} -F totalChunks=3 -F fileId=f -H 'X-API-Key: worker-1' $U/media/chunks || true`,
      )
      .join('\n');
    const script = `${upload}${fault.replace(/^# … run your uploader.*$/m, sending)}`.replace(
      given,
      `U=${server.url}\n`,
    );
    const { stdout } = await run('bash', ['-e', '-c', script], { timeout: 120_000 });
    expect(stdout).toContain(
      '{"success":true,"data":{"completed":true,"fileId":"my-file"},"message":"Upload complete"}',
    );
    expect(stdout).toContain('"currentSize":23');
    expect(stdout).toContain('"message":"Video uploaded"');
    expect(stdout).toContain('"outcome":"fault-reset"');
    expect(stdout).toMatch(/PASS\n$/);
  });
});

it('every setting has a flag and an environment name of its own', () => {
  expect(new Set(SETTING_NAMES.flatMap((name) => [flagOf(name), environmentOf(name)])).size).toBe(
    SETTING_NAMES.length * 2,
  );
});
