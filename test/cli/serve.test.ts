// serve.test.ts: what a person sees who starts the server on a terminal (§8).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { banner } from '../../src/cli/banner.ts';
import { resolveConfig } from '../../src/config/config.ts';
import type { ConfigInput } from '../../src/config/options.ts';
import { openTestServer, temporaryFolder } from '../helpers/app.ts';
import { runToEnd } from '../helpers/process.ts';

const AT = { url: 'http://127.0.0.1:4310', adminUrl: 'http://127.0.0.1:4310/__admin' };

function bannerOf(values: ConfigInput, at: { url: string; adminUrl: string | null } = AT): string {
  const { config } = resolveConfig([{ source: 'flag', values }]);
  return banner(config, { ...at, version: '1.2.3' }, ['192.0.2.7', '198.51.100.1']);
}

describe('the banner', () => {
  it('has the address, the docs, where the bytes lie, and a line to copy (§8.7)', () => {
    const shown = bannerOf({ dataDir: '/some/folder' });
    expect(shown).toContain(`${AT.adminUrl}/docs`);
    expect(shown).toContain('Stored in /some/folder.');
    expect(shown).toMatch(
      /^ +printf 'hello' \| curl .*\\\n.*\\\n +'http:\/\/127\.0\.0\.1:4310\/media\/chunks'$/m,
    );
  });

  it('warns when acknowledged bytes may be lost (D1), and only then', () => {
    expect(bannerOf({ durability: 'none' })).toContain('a power failure may lose acknowledged bytes');
    expect(bannerOf({})).not.toContain('may be lost');
    expect(bannerOf({ storage: 'memory' })).toContain('in memory, gone when the server ends');
  });

  it('says how to have the admin plane where it is off', () => {
    expect(bannerOf({ host: '0.0.0.0' }, { ...AT, adminUrl: null })).toContain(
      'off (beyond loopback they need --admin-token',
    );
  });
});

/** The lines to copy, as a shell gets them. */
function commandsIn(shown: string): string {
  return shown
    .split('\n')
    .filter((line) => line.startsWith('    '))
    .map((line) => line.slice(4))
    .join('\n');
}

/** Resolves to what a shell says to the commands, with what a person types in answer to them. */
async function pasted(commands: string, typed = ''): Promise<string> {
  const shell = spawn('sh', ['-c', commands.replaceAll(/\bcurl\b/g, 'curl -sS')], { stdio: 'pipe' });
  shell.stdin.end(typed);
  const [out, err] = await Promise.all([text(shell.stdout), text(shell.stderr)]);
  return out + err;
}

describe('what the banner prints works as it is pasted', () => {
  const STORED = /"completed":true.*"currentSize":5/s;

  it.each(['127.0.0.1', '0.0.0.0'])('of a server that listens on %s', async (host) => {
    const server = await openTestServer({ host, adminPort: 0 });
    expect(await pasted(commandsIn(bannerOf({ host }, server)))).toMatch(STORED);
  });

  it('with keys: one is asked for, and none is shown (K5)', async () => {
    const settings = { apiKeys: ['the-hidden-key'], adminToken: 'the-hidden-token' };
    const server = await openTestServer(settings);
    const shown = bannerOf(settings, server);
    expect(shown).not.toContain('the-hidden');
    expect(await pasted(commandsIn(shown), 'the-hidden-key\n')).toMatch(STORED);
    const [docs = ''] = /http:\S+\/docs/.exec(shown) ?? [];
    expect((await fetch(docs)).status, 'a browser cannot send the token').toBe(200);
    expect(shown).toContain('Authorization: Bearer');
  });

  it('with a file of keys: the first one is taken from it', async () => {
    const file = join(await temporaryFolder(), `keys of 'mine'`);
    await writeFile(file, '# ours\n\n  # more\n  key-1  \nkey-2\n');
    const server = await openTestServer({ apiKeys: ['key-1', 'key-2'] });
    const shown = bannerOf({ apiKeysFile: file }, server);
    expect(await pasted(commandsIn(shown))).toMatch(STORED);
    expect(shown).not.toMatch(/key-[12]/);
  });
});

it('the banner has addresses that can be reached, also of a server that listens on all of them', () => {
  const all = { url: 'http://0.0.0.0:4310', adminUrl: null };
  const shown = bannerOf({ host: '0.0.0.0' }, all);
  expect(shown).not.toContain('0.0.0.0');
  for (const address of ['127.0.0.1', '192.0.2.7', '198.51.100.1'])
    expect(shown).toContain(`http://${address}:4310\n`);
  expect(bannerOf({})).not.toContain('192.0.2.7');
  expect(bannerOf({ host: '::' }, { url: 'http://[::]:4310', adminUrl: null })).toContain(
    'http://[::1]:4310\n',
  );
});

it('no line of the banner is wider than 80 columns, whatever is set', () => {
  const settings = { apiKeys: ['k'], adminToken: 't', durability: 'none', host: '0.0.0.0' } as const;
  const at = { url: 'http://0.0.0.0:65535', adminUrl: 'http://0.0.0.0:65535/__admin' };
  for (const shown of [bannerOf(settings, at), bannerOf({}), bannerOf(settings, { ...at, adminUrl: null })])
    for (const line of shown.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
});

it('an admin port that is taken is named, with the flag that changes it', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const ended = await runToEnd(['serve', '--storage', 'memory', '--port', '0', '--admin-port', String(port)]);
  other.close();
  expect([ended.code, ended.stdout]).toEqual([2, '']);
  expect(ended.stderr).toContain(
    `127.0.0.1:${port} is in use; stop what listens there, take another --admin-port`,
  );
});
