// platforms.test.ts: which platform takes what, and how nested and flat settings are read.

import { describe, expect, it } from 'vitest';
import {
  ACCOUNT_KEY,
  PLATFORMS,
  isPlatform,
  platformsTaking,
  readFlatSettings,
  readNestedSettings,
  type Platform,
} from '../../src/media/platforms.ts';

const flatFrom = (platform: Platform, fields: Readonly<Record<string, unknown>>) =>
  readFlatSettings(platform, (field) => fields[field]);

const fieldsOf = ({ problems }: ReturnType<typeof readNestedSettings>): readonly string[] =>
  problems.map(({ field }) => field);

describe('platforms', () => {
  it('videos go to all five, images to all but youtube', () => {
    expect(platformsTaking('video')).toEqual(['youtube', 'instagram', 'tiktok', 'linkedin', 'pinterest']);
    expect(platformsTaking('image')).toEqual(['instagram', 'tiktok', 'linkedin', 'pinterest']);
  });

  it('names of other platforms and of object members are no platforms', () => {
    expect(PLATFORMS.every(isPlatform)).toBe(true);
    expect(['facebook', 'YouTube', 'constructor', '', 1, null].some(isPlatform)).toBe(false);
  });

  it('youtube selects accounts by channels, the others by accounts', () => {
    expect(PLATFORMS.map((platform) => ACCOUNT_KEY[platform])).toEqual([
      'channels',
      'accounts',
      'accounts',
      'accounts',
      'accounts',
    ]);
  });
});

describe('readNestedSettings', () => {
  it.each([undefined, null])('%s is no settings and no problem', (value) => {
    const reading = readNestedSettings('youtube', value);
    expect(reading.settings).toEqual({});
    expect(reading.problems).toEqual([]);
    expect(reading.fieldOf('title')).toBe('youtube.title');
  });

  it('JSON text and the object itself give the same', () => {
    const object = { title: 'My Chunked Video', privacy: 'unlisted', autoPublish: false, channels: ['UC1'] };
    expect(readNestedSettings('youtube', JSON.stringify(object)).settings).toEqual(object);
    expect(readNestedSettings('youtube', object)).toMatchObject({ settings: object, problems: [] });
  });

  it('unknown keys are kept as sent, whatever they hold (F3)', () => {
    const object = { board: { id: 7, tags: ['a', null] }, link: null };
    expect(readNestedSettings('pinterest', object)).toMatchObject({ settings: object, problems: [] });
  });

  it('a known key that is null is as if it were not there', () => {
    expect(readNestedSettings('tiktok', { caption: null, privacy: null, other: 1 })).toMatchObject({
      settings: { other: 1 },
      problems: [],
    });
  });

  it.each(['PUBLIC_TO_EVERYONE', 'MUTUAL_FOLLOW_FRIENDS', 'SELF_ONLY'])(
    'tiktok takes privacy %s',
    (privacy) => {
      expect(fieldsOf(readNestedSettings('tiktok', { privacy }))).toEqual([]);
    },
  );

  it.each(['FOLLOWER_OF_CREATOR', 'public', ''])('tiktok refuses privacy "%s"', (privacy) => {
    expect(readNestedSettings('tiktok', { privacy }).problems).toEqual([
      {
        field: 'tiktok.privacy',
        message: `must be one of PUBLIC_TO_EVERYONE, MUTUAL_FOLLOW_FRIENDS, SELF_ONLY; got "${privacy}"`,
      },
    ]);
  });

  it.each(['public', 'private', 'unlisted'])('youtube takes privacy %s', (privacy) => {
    expect(fieldsOf(readNestedSettings('youtube', { privacy }))).toEqual([]);
  });

  it('inside JSON a boolean in quotes is refused', () => {
    expect(readNestedSettings('instagram', '{"autoPublish":"true"}').problems).toEqual([
      {
        field: 'instagram.autoPublish',
        message: 'must be true or false (inside JSON without quotes); got "true"',
      },
    ]);
  });

  it('every bad key is named, the place in a list included', () => {
    const reading = readNestedSettings('tiktok', {
      caption: 5,
      privacy: 'x',
      disableComment: 1,
      accounts: ['a', 2, ''],
      profileId: '',
    });
    expect(fieldsOf(reading).toSorted()).toEqual([
      'tiktok.accounts.1',
      'tiktok.accounts.2',
      'tiktok.caption',
      'tiktok.disableComment',
      'tiktok.privacy',
      'tiktok.profileId',
    ]);
  });

  it('a refused reading still gives its values, so that account ids can be checked too', () => {
    const reading = readNestedSettings('youtube', { privacy: 'x', channels: ['UC1'] });
    expect(reading.settings['channels']).toEqual(['UC1']);
  });

  it('texts are bounded: 1,000 characters of title, 10,000 of description and caption', () => {
    const at = { title: 'x'.repeat(1_000), description: 'x'.repeat(10_000) };
    const over = { title: 'x'.repeat(1_001), description: 'x'.repeat(10_001) };
    expect(fieldsOf(readNestedSettings('youtube', at))).toEqual([]);
    expect(fieldsOf(readNestedSettings('youtube', over))).toEqual(['youtube.title', 'youtube.description']);
    expect(fieldsOf(readNestedSettings('instagram', { caption: over.description }))).toEqual([
      'instagram.caption',
    ]);
  });

  it('lists of accounts are bounded: 100 ids of 256 characters', () => {
    const ids = (count: number, length: number) => ({
      accounts: Array<string>(count).fill('x'.repeat(length)),
    });
    expect(fieldsOf(readNestedSettings('linkedin', ids(100, 256)))).toEqual([]);
    expect(fieldsOf(readNestedSettings('linkedin', ids(101, 1)))).toEqual(['linkedin.accounts']);
    expect(fieldsOf(readNestedSettings('linkedin', { accounts: Array(100_000).fill(1) }))).toEqual([
      'linkedin.accounts',
    ]);
    expect(fieldsOf(readNestedSettings('linkedin', ids(1, 257)))).toEqual(['linkedin.accounts.0']);
  });

  it.each([['{'], ['[]'], ['"x"'], ['null'], ['7'], [''], [7], [true], [['x']]])(
    '%j is no JSON object and refused under the name of the platform',
    (value) => {
      const { settings, problems } = readNestedSettings('youtube', value);
      expect(settings).toEqual({});
      expect(problems).toHaveLength(1);
      expect(problems[0]?.field).toBe('youtube');
      expect(problems[0]?.message).toMatch(/^must be a JSON object like .*; got /);
    },
  );

  it('settings deeper than 32 levels are refused', () => {
    const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
    expect(readNestedSettings('linkedin', nested(32)).problems).toEqual([]);
    expect(readNestedSettings('linkedin', nested(33)).problems).toEqual([
      { field: 'linkedin', message: 'must be nested at most 32 levels deep' },
    ]);
  });

  it('__proto__ sets nothing', () => {
    const { settings, problems } = readNestedSettings(
      'youtube',
      '{"__proto__":{"autoPublish":false},"title":"t"}',
    );
    expect(problems).toEqual([]);
    expect(settings).toStrictEqual({ title: 't' });
    expect(settings['autoPublish']).toBeUndefined();
  });
});

describe('readFlatSettings', () => {
  it('every documented flat key reaches its nested key (F3)', () => {
    expect(
      flatFrom('youtube', {
        youtubeTitle: 't',
        youtubeDescription: 'd',
        youtubePrivacy: 'private',
        youtubeAutoPublish: 'true',
        selectedYoutubeChannels: '["UC1","UC2"]',
      }),
    ).toMatchObject({
      settings: {
        title: 't',
        description: 'd',
        privacy: 'private',
        autoPublish: true,
        channels: ['UC1', 'UC2'],
      },
      problems: [],
    });
    expect(
      flatFrom('instagram', {
        instagramCaption: 'c',
        instagramAutoPublish: 'false',
        selectedInstagramAccounts: '178',
      }),
    ).toMatchObject({ settings: { caption: 'c', autoPublish: false, accounts: ['178'] }, problems: [] });
    expect(
      flatFrom('tiktok', {
        tiktokCaption: 'c',
        tiktokPrivacy: 'SELF_ONLY',
        tiktokAutoPublish: 'false',
        selectedTiktokAccounts: ' ["a"]',
        tiktokDisableComment: 'true',
      }),
    ).toMatchObject({
      settings: {
        caption: 'c',
        privacy: 'SELF_ONLY',
        autoPublish: false,
        accounts: ['a'],
        disableComment: true,
      },
      problems: [],
    });
  });

  it('nothing is invented for linkedin and pinterest, whose flat keys no page shows', () => {
    const fields = { linkedinCaption: 'c', selectedPinterestAccounts: 'x' };
    expect(flatFrom('linkedin', fields).settings).toEqual({});
    expect(flatFrom('pinterest', fields).settings).toEqual({});
  });

  it('real booleans and arrays of a JSON body are taken as they are', () => {
    expect(
      flatFrom('tiktok', { tiktokDisableComment: true, selectedTiktokAccounts: ['a'], tiktokCaption: null }),
    ).toMatchObject({ settings: { disableComment: true, accounts: ['a'] }, problems: [] });
  });

  it('problems carry the flat name that the client sent', () => {
    const reading = flatFrom('youtube', {
      youtubeTitle: 5,
      youtubePrivacy: 'PUBLIC',
      youtubeAutoPublish: 'yes',
      selectedYoutubeChannels: '["UC1",2]',
    });
    expect(fieldsOf(reading).toSorted()).toEqual([
      'selectedYoutubeChannels.1',
      'youtubeAutoPublish',
      'youtubePrivacy',
      'youtubeTitle',
    ]);
    expect(reading.problems.find(({ field }) => field === 'youtubeAutoPublish')?.message).toContain(
      'got "yes"',
    );
  });

  it('a broken JSON list is refused, not taken for an id', () => {
    expect(flatFrom('instagram', { selectedInstagramAccounts: '["178"' }).problems).toEqual([
      { field: 'selectedInstagramAccounts', message: 'must be an array of account ids; got "[\\"178\\""' },
    ]);
  });

  it('an empty list field is refused as an empty id', () => {
    expect(fieldsOf(flatFrom('instagram', { selectedInstagramAccounts: '' }))).toEqual([
      'selectedInstagramAccounts.0',
    ]);
  });

  it('a key without a flat name goes by its own', () => {
    expect(flatFrom('youtube', {}).fieldOf('profileId')).toBe('profileId');
    expect(flatFrom('youtube', {}).fieldOf('channels')).toBe('selectedYoutubeChannels');
  });
});
