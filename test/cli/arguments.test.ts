// arguments.test.ts: flags > environment > config file > defaults (§8). A setting that cannot be used is named.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { printedConfig, readInvocation } from '../../src/cli/arguments.ts';
import { helpText } from '../../src/cli/help.ts';
import { ConfigError } from '../../src/config/config.ts';
import { GROUPS } from '../../src/config/setting-kinds.ts';
import {
  environmentOf,
  flagOf,
  SETTING_NAMES,
  SETTINGS,
  type SettingName,
} from '../../src/config/settings.ts';

let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-config-'));
  file = join(folder, 'config.json');
  await writeFile(file, JSON.stringify({ port: 3, uploadTtl: '3h', maxFileSize: '3MiB' }));
});
afterAll(() => rm(folder, { recursive: true }));

describe('a setting', () => {
  it('is what the flag says, else the environment, else the config file, else the default (§8.1)', async () => {
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

  it('has the default that the rules give it, when nobody says anything (C15, §7.2, §8.4)', async () => {
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

it('has no value where its variable is empty: the config file and the default count', async () => {
  const environment = { XENONFLARE_MOCK_PORT: '', XENONFLARE_MOCK_HOST: '', XENONFLARE_MOCK_CONFIG: '' };
  const { config, sources } = await readInvocation(['--config', file], environment);
  expect([config.port, sources.port, config.host, sources.host]).toEqual([
    3,
    'config file',
    '127.0.0.1',
    'default',
  ]);
  await expect(readInvocation(['--host', ''], {})).rejects.toThrow(
    '--host (flag): got ""; expected an address',
  );
});

it.each<[string, string, string]>([
  ['port', '70000', 'got "70000"; expected a port: a whole number from 0 to 65535'],
  ['port', '-1', 'got "-1"; expected a port: a whole number from 0 to 65535'],
  ['adminPort', '1e3', 'got "1e3"; expected a port'],
  ['maxParts', '3', 'got "3"; expected a whole number from 4 up'],
  ['maxParts', '4.5', 'got "4.5"; expected a whole number from 4 up'],
  ['strict', '1', 'got "1"; expected true or false'],
  ['storage', 'tape', 'got "tape"; expected disk or memory'],
  ['mediaCheck', 'all', 'got "all"; expected name, content or off'],
  ['maxFileSize', '5 parsecs', 'got "5 parsecs"; expected a size such as 1000000, 64MiB or 5GiB'],
  ['uploadTtl', '0s', 'got "0s"; expected a duration from 1ms to 36500d, such as'],
  ['grace', '25d', 'got "25d"; expected a duration from 0s to 24d, such as'],
  ['host', 'http://localhost', 'got "http://localhost"; expected an address or a name alone'],
  ['host', 'localhost:4310', 'got "localhost:4310"; expected an address or a name alone'],
  ['host', '[::1]', 'got "[::1]"; expected an address or a name alone'],
  ['seed', 'a\u001B[2J', 'got "a\\u001b[2J"; expected some text, without control characters'],
  ['seed', '\u202Eevil\u0007\u009B2J', 'got "\\u{202e}evil\\u0007\\u{9b}2J"; expected some text'],
  ['dataDir', 'x'.repeat(200) + '\n', `got "${'x'.repeat(78)}…; expected the path`],
])('%s that is %j: what was got, and what was expected', async (name, value, said) => {
  const environment = { [environmentOf(name as SettingName)]: value };
  const failed = await readInvocation([], environment).catch(({ message }: Error) => message);
  expect(failed).toContain(`${environmentOf(name as SettingName)} (environment): ${said}`);
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

describe('a secret is in no error (K5)', () => {
  const SECRET = 'the-hidden';

  async function saidOf(argv: string[], environment: Record<string, string> = {}): Promise<string> {
    const failed = await readInvocation(argv, environment).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(ConfigError);
    return (failed as Error).message;
  }

  it('where its own value cannot be used, by flag, environment and config file', async () => {
    const bad = `${SECRET}\u0007`;
    for (const name of SETTING_NAMES.filter((one) => SETTINGS[one].isSecret)) {
      expect(await saidOf([flagOf(name), bad])).not.toContain(SECRET);
      expect(await saidOf([], { [environmentOf(name)]: bad })).not.toContain(SECRET);
      const path = join(folder, 'secret.json');
      await writeFile(path, JSON.stringify({ [name]: { [SECRET]: SECRET } }));
      expect(await saidOf(['--config', path])).not.toContain(SECRET);
    }
  });

  it('where a space makes a part of it an argument or a command', async () => {
    expect(await saidOf(['--api-keys', 'one,', SECRET])).toContain('unknown command that is not shown');
    expect(await saidOf(['serve', '--admin-token', 'one', SECRET])).not.toContain(SECRET);
  });

  it.each([
    ['{"port": 1, "adminToken": "the-hidden"', /is not JSON at position \d+/],
    ['{"adminToken": the-hidden}', /is not JSON$/],
    ["{'adminToken': 'the-hidden'}", /is not JSON/],
    ['{"apiKeys": ["the-hidden", the-hidden-2]}', /is not JSON/],
  ])('where the config file that has it is no JSON: %s', async (text, expected) => {
    const path = join(folder, 'broken.json');
    await writeFile(path, text);
    const said = await saidOf(['--config', path]);
    expect(said).toMatch(expected);
    expect(said).not.toContain(SECRET);
  });
});

describe('--help', () => {
  it('has no line longer than 80 columns, and no control character', () => {
    const lines = helpText().split('\n');
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(lines.filter((line) => /\p{Cc}|`/u.test(line))).toEqual([]);
    expect(Math.max(...lines.map((line) => line.length))).toBeGreaterThan(70);
  });

  it('has each flag once, in the group it is of, with its default', () => {
    const help = helpText();
    for (const name of SETTING_NAMES) {
      const { group, default: fallback, kind } = SETTINGS[name];
      const [, of = ''] = help.split(`\n\n${GROUPS[group]}:\n`);
      const [rows = ''] = of.split('\n\n');
      const [, row = ''] = rows.split(new RegExp(`^  ${flagOf(name)}(?= |$)`, 'm'));
      const [own = ''] = row.split(/^ {2}-/m);
      const text = own.replaceAll(/\s+/g, ' ');
      if (fallback !== '' && kind !== 'flag') expect(text).toContain(` [${fallback}]`);
      expect(text.length, flagOf(name)).toBeGreaterThan(20);
      expect(help.split(new RegExp(`^  ${flagOf(name)}(?= |$)`, 'm'))).toHaveLength(2);
    }
  });
});
