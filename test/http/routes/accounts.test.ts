// http/routes/accounts.test.ts: channels and profiles, bare as documented, from the fixtures that the server was given.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startServer } from '../../../src/index.ts';
import { DEFAULT_FIXTURES } from '../../../src/media/accounts.ts';
import { ask, openTestServer, temporaryFolder } from '../../helpers/app.ts';

describe.each(['', '/api/v1'])('under the prefix "%s"', (prefix) => {
  it('channels are a bare object with every platform (§5.4)', async () => {
    const server = await openTestServer();
    const answer = await ask(server, `${prefix}/channels`, { key: 'k' });
    expect([answer.status, JSON.parse(answer.text)]).toEqual([200, DEFAULT_FIXTURES.channels]);
    expect(Object.keys(answer.body)).toEqual(['youtube', 'instagram', 'tiktok', 'linkedin', 'pinterest']);
  });

  it('profiles are a bare array (§5.4)', async () => {
    const server = await openTestServer();
    const answer = await ask(server, `${prefix}/profiles`, { key: 'k' });
    expect([answer.status, JSON.parse(answer.text)]).toEqual([200, DEFAULT_FIXTURES.profiles]);
    expect(Array.isArray(answer.body)).toBe(true);
  });
});

it('every key sees the same accounts', async () => {
  const server = await openTestServer({ apiKeys: ['a', 'b'] });
  const [one, two] = [
    await ask(server, '/profiles', { key: 'a' }),
    await ask(server, '/profiles', { key: 'b' }),
  ];
  expect(one.text).toBe(two.text);
});

describe('--fixtures', () => {
  const tiktok = [{ id: 't1', accountId: 'native-1', username: 'me', thumbnail: '' }];
  const profile = {
    id: 'p1',
    name: 'Only TikTok',
    tiktokAccountId: 'native-1',
    youtubeChannelId: null,
    isDefault: true,
    createdAt: '2026-02-15T09:00:00.000Z',
  };

  async function started(fixtures: string): Promise<Awaited<ReturnType<typeof startServer>>> {
    const path = join(await temporaryFolder(), 'fixtures.json');
    await writeFile(path, fixtures);
    return startServer({ fixtures: path });
  }

  it('are what the server gives out and knows; a platform left out is an empty array (§5.4)', async () => {
    const server = await started(JSON.stringify({ channels: { tiktok }, profiles: [profile] }));
    try {
      expect(JSON.parse((await ask(server, '/channels', { key: 'k' })).text)).toEqual({
        youtube: [],
        instagram: [],
        tiktok,
        linkedin: [],
        pinterest: [],
      });
      expect(JSON.parse((await ask(server, '/profiles', { key: 'k' })).text)).toEqual([profile]);
      const body = JSON.stringify({ fileId: 'f', platforms: ['tiktok'], tiktok: { accounts: ['nobody'] } });
      const headers = { 'content-type': 'application/json' };
      const refused = await ask(server, '/media/videos', { method: 'POST', key: 'k', headers, body });
      expect(refused.body.message).toContain('GET /channels');
    } finally {
      await server.close();
    }
  });

  it.each([
    ['no JSON', '{', 'is not JSON'],
    ['a misspelt key', JSON.stringify({ chanels: {} }), 'chanels'],
    [
      'a profile with an account that is not there',
      JSON.stringify({ channels: {}, profiles: [profile] }),
      '$.profiles[0].tiktokAccountId',
    ],
  ])('with %s stop the start and say where', async (_name, text, expected) => {
    await expect(started(text)).rejects.toThrow(expected);
  });

  it('that are not there stop the start', async () => {
    await expect(startServer({ fixtures: '/nowhere/fixtures.json' })).rejects.toThrow(
      '/nowhere/fixtures.json cannot be read',
    );
  });
});
