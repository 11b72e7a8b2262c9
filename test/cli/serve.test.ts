// serve.test.ts: what a person sees who starts the server on a terminal (§8).
import { describe, expect, it } from 'vitest';
import { banner } from '../../src/cli/serve.ts';
import { resolveConfig } from '../../src/config/config.ts';
import type { ConfigInput } from '../../src/config/options.ts';

const AT = { url: 'http://127.0.0.1:4310', adminUrl: 'http://127.0.0.1:4310/__admin' };

function bannerOf(values: ConfigInput, at: { url: string; adminUrl: string | null } = AT): string {
  return banner(resolveConfig([{ source: 'flag', values }]).config, at);
}

describe('the banner', () => {
  it('has the address, the docs, where the bytes lie, and a line to copy (§8.7)', () => {
    const text = bannerOf({ dataDir: '/some/folder' });
    expect(text).toContain(`${AT.adminUrl}/docs`);
    expect(text).toContain('Stored in /some/folder.');
    expect(text).toMatch(/^ +printf 'hello' \| curl (-F \S+ ){4}http:\/\/127\.0\.0\.1:4310\/media\/chunks$/m);
  });

  it('warns when acknowledged bytes may be lost (D1), and only then', () => {
    expect(bannerOf({ durability: 'none' })).toContain('may be lost with the power');
    expect(bannerOf({})).not.toContain('may be lost');
    expect(bannerOf({ storage: 'memory' })).toContain('in memory, gone when the server ends');
  });

  it('says how to have the admin plane where it is off', () => {
    expect(bannerOf({ host: '0.0.0.0' }, { ...AT, adminUrl: null })).toContain('off (it needs --admin-token');
  });
});
