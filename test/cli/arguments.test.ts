// arguments.test.ts: flags > environment > config file > defaults (§8), and what cannot be used is named.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { helpText, printedConfig, readInvocation } from '../../src/cli/arguments.ts';
import { ConfigError } from '../../src/config.ts';
import { environmentOf, flagOf, SETTING_NAMES } from '../../src/settings.ts';

let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-config-'));
  file = join(folder, 'config.json');
  await writeFile(file, JSON.stringify({ port: 3, uploadTtl: '3h', maxFileSize: '3MiB' }));
});
afterAll(() => rm(folder, { recursive: true }));

describe('a setting', () => {
  it('is what the flag says, else the environment, else the config file, else the default', async () => {
    const argv = ['--config', file, '--port', '1'];
    const environment = { XENONFLARE_MOCK_PORT: '2', XENONFLARE_MOCK_UPLOAD_TTL: '2h' };
    const { config, sources } = await readInvocation(argv, environment);
    expect([config.port, sources.port]).toEqual([1, 'flag']);
    expect([config.uploadTtl, sources.uploadTtl]).toEqual([2 * 3_600_000, 'environment']);
    expect([config.maxFileSize, sources.maxFileSize]).toEqual([3 * 1024 ** 2, 'config file']);
    expect([config.host, sources.host]).toEqual(['127.0.0.1', 'default']);
  });

  it('can be given by its flag and is in --help, each of them', async () => {
    const help = helpText();
    for (const name of SETTING_NAMES) {
      expect(help).toContain(`  ${flagOf(name)} `);
      expect(environmentOf(name)).toMatch(/^XENONFLARE_MOCK_[A-Z_]+$/);
    }
  });

  it('has the default that the rules give it, when nobody says anything', async () => {
    const { config } = await readInvocation([], {});
    const [SECOND, GIB] = [1_000, 1024 ** 3];
    expect(config).toMatchObject({
      host: '127.0.0.1',
      port: 4310,
      dataDir: './.xenonflare-mock',
      storage: 'disk',
      durability: 'fsync',
      chunkOrder: 'sequential',
      maxFileSize: 5 * GIB,
      uploadTtl: 24 * 3600 * SECOND,
      takeoverAfter: 3 * SECOND,
      idleTimeout: 60 * SECOND,
      grace: 10 * SECOND,
      apiKeys: [],
      strict: false,
      mediaCheck: 'name',
    });
  });

  it('is printed with where it came from; a secret is not', async () => {
    const argv = ['--print-config', '--admin-token', 'the-hidden-token', '--api-keys', 'the-hidden-key'];
    const invocation = await readInvocation(argv, { XENONFLARE_MOCK_PORT: '2' });
    expect(invocation.wants).toBe('print-config');
    const printed = printedConfig(invocation);
    expect(JSON.parse(printed)).toMatchObject({ port: { value: 2, source: 'environment' } });
    expect(printed).not.toContain('the-hidden');
  });
});

describe('what cannot be used is an error that names it', () => {
  it.each<[string, string[], Record<string, string>, string]>([
    ['an unknown flag', ['--prot', '1'], {}, '--prot'],
    ['an unknown variable', [], { XENONFLARE_MOCK_PROT: '1' }, 'XENONFLARE_MOCK_PROT'],
    ['a bad flag', ['--port', 'x'], {}, '--port'],
    ['a bad variable', [], { XENONFLARE_MOCK_UPLOAD_TTL: 'soon' }, 'XENONFLARE_MOCK_UPLOAD_TTL'],
    ['a bad size', ['--max-file-size', '5 parsecs'], {}, '--max-file-size'],
    ['an argument too many', ['serve', 'more'], {}, '"more"'],
    ['a config file that is not there', ['--config', '/nowhere.json'], {}, '/nowhere.json'],
  ])('%s', async (...[, argv, environment, named]) => {
    const failed = await readInvocation(argv, environment).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(ConfigError);
    expect((failed as Error).message).toContain(named);
  });

  it('in the config file, too', async () => {
    const other = join(folder, 'other.json');
    for (const [text, named] of [
      ['{"prot": 1}', '"prot"'],
      ['[]', 'JSON object'],
      ['{', 'not JSON'],
    ] as const) {
      await writeFile(other, text);
      await expect(readInvocation(['--config', other], {})).rejects.toThrow(named);
    }
  });
});
