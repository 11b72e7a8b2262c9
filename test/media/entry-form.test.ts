// entry-form.test.ts: rule F3: a request is understood whole, or refused with every bad field named.

import { describe, expect, it } from 'vitest';
import { DEFAULT_FIXTURES, type Fixtures } from '../../src/media/accounts.ts';
import { isEntryField, type EntryFields } from '../../src/media/entry-form.ts';
import { PLATFORMS } from '../../src/media/platforms.ts';
import { STUDIO, TRAVEL, parse, refused, refusedFields, withInstagram } from './entry-request.ts';

const youtubeOnly: Fixtures = {
  channels: DEFAULT_FIXTURES.channels,
  profiles: [
    {
      id: 'y',
      name: 'y',
      youtubeChannelId: 'UCmockNorthwindStudio001',
      isDefault: false,
      createdAt: '2026-02-15T09:00:00.000Z',
    },
  ],
};

describe('a request that is taken', () => {
  it("the documents' own finalise gives its spec", () => {
    expect(
      parse({
        fileId: 'your-unique-file-id',
        platforms: '["youtube"]',
        youtube: '{"title": "My Chunked Video"}',
      }),
    ).toStrictEqual({
      type: 'video',
      fileId: 'your-unique-file-id',
      platforms: ['youtube'],
      isDraft: false,
      settings: { youtube: { title: 'My Chunked Video' } },
    });
  });

  it('a full form and the same as JSON give the same spec', () => {
    const form = parse({
      title: 'T',
      description: 'D',
      platforms: '["tiktok","youtube"]',
      scheduledAt: '2026-03-01T10:30:00+01:00',
      isDraft: 'true',
      profileId: STUDIO,
      tiktok: '{"disableComment":true}',
    });
    const json = parse({
      title: 'T',
      description: 'D',
      platforms: ['tiktok', 'youtube'],
      scheduledAt: '2026-03-01T09:30:00Z',
      isDraft: true,
      profileId: STUDIO,
      tiktok: { disableComment: true },
    });
    expect(form).toStrictEqual(json);
    expect(form).toStrictEqual({
      type: 'video',
      title: 'T',
      description: 'D',
      platforms: ['tiktok', 'youtube', 'instagram', 'linkedin', 'pinterest'],
      scheduledAt: Date.UTC(2026, 2, 1, 9, 30),
      isDraft: true,
      profileId: STUDIO,
      settings: { tiktok: { disableComment: true }, youtube: {}, instagram: {}, linkedin: {}, pinterest: {} },
    });
  });

  it('a spec survives a ledger: it is plain JSON', () => {
    const spec = parse(withInstagram({ fileId: 'f', instagram: '{"x":[1,{"y":null}]}' }));
    expect(JSON.parse(JSON.stringify(spec))).toStrictEqual(spec);
  });

  it('unknown fields are ignored, also those named like members of objects', () => {
    const fields: unknown = JSON.parse(
      '{"platforms":["instagram"],"__proto__":{"title":"x"},"constructor":"y","folder":7}',
    );
    expect(parse(fields as EntryFields)).toStrictEqual(parse({ platforms: ['instagram'] }));
  });

  it('inherited fields are not fields', () => {
    expect(
      parse(Object.create({ title: 'x' }, { platforms: { value: '["instagram"]' } }) as EntryFields).title,
    ).toBe(undefined);
  });

  it('null is the same as not given', () => {
    expect(
      parse(withInstagram({ title: null, scheduledAt: null, isDraft: null, profileId: null })),
    ).toStrictEqual(parse(withInstagram({})));
  });

  it('an empty title is a title', () => {
    expect(parse(withInstagram({ title: '' })).title).toBe('');
  });

  it('an instant in the past is kept: it means now', () => {
    expect(parse(withInstagram({ scheduledAt: '2001-01-01' })).scheduledAt).toBe(Date.UTC(2001, 0, 1));
  });

  it('half a surrogate pair is no fileId: on its way it would come to name another file', () => {
    for (const fileId of ['\ud800', 'a\udfff', '\udc00\ud800'])
      expect(refused(withInstagram({ fileId }))).toEqual({
        fileId: expect.stringContaining('must be 1 to 256 characters'),
      });
    expect(parse(withInstagram({ fileId: '\ud83d\ude00' })).fileId).toBe('😀');
  });
});

describe('platforms and profileId', () => {
  it('a platform named twice counts once, in the order named', () => {
    expect(parse({ platforms: '["tiktok","instagram","tiktok"]' }).platforms).toEqual([
      'tiktok',
      'instagram',
    ]);
  });

  it('a profile stands in for platforms, with an empty list too', () => {
    expect(parse({ profileId: TRAVEL }).platforms).toEqual(['instagram', 'tiktok']);
    expect(parse({ profileId: TRAVEL, platforms: '[]' }).platforms).toEqual(['instagram', 'tiktok']);
  });

  it('a profile adds to the platforms named', () => {
    expect(parse({ profileId: TRAVEL, platforms: '["pinterest","tiktok"]' }).platforms).toEqual([
      'pinterest',
      'tiktok',
      'instagram',
    ]);
  });

  it("an image leaves out a profile's youtube", () => {
    expect(parse({ profileId: STUDIO }, 'image').platforms).toEqual([
      'instagram',
      'tiktok',
      'linkedin',
      'pinterest',
    ]);
  });

  it('an image with a profile that has youtube only is refused at profileId', () => {
    expect(refused({ profileId: 'y' }, 'image', youtubeOnly)).toEqual({
      profileId: 'this profile has no account on a platform that takes images',
    });
    expect(refused({ profileId: 'y', platforms: ['tiktok'] }, 'image', youtubeOnly)).toBeNull();
    expect(refused({ profileId: 'y' }, 'video', youtubeOnly)).toBeNull();
  });

  it.each([[undefined], [null], ['[]'], [[]]])('platforms %j without profileId is refused', (platforms) => {
    expect(refused({ platforms })).toEqual({
      platforms: 'must name at least one platform, like ["instagram"], unless profileId is given',
    });
  });

  it.each([['youtube'], ['youtube,tiktok'], ['{"a":1}'], ['"tiktok"'], [''], [7], [{}]])(
    'platforms %j is no JSON array and refused once',
    (platforms) => {
      expect(refused({ platforms })?.['platforms']).toMatch(/^must be a JSON array like .*; got /);
      expect(refusedFields({ platforms })).toEqual(['platforms']);
    },
  );

  it('unknown names are refused and listed once each', () => {
    expect(refused({ platforms: '["facebook","tiktok","facebook",1,null]' })).toEqual({
      platforms: 'videos can go to youtube, instagram, tiktok, linkedin, pinterest; got "facebook", 1, null',
    });
  });

  it('an image refuses youtube', () => {
    expect(refused({ platforms: '["youtube","tiktok"]' }, 'image')).toEqual({
      platforms: 'images can go to instagram, tiktok, linkedin, pinterest; got "youtube"',
    });
  });

  it.each([['nope'], ['']])(
    'an unknown profileId "%s" is refused and no platforms are missed',
    (profileId) => {
      expect(refused({ profileId })).toEqual({
        profileId: `no profile has the id "${profileId}"; GET /profiles lists them`,
      });
    },
  );
});

describe('fields of the form itself', () => {
  it.each([['x'], ['x'.repeat(256)], ['😀'.repeat(256)], ['../../etc/passwd']])(
    'fileId %j is taken',
    (fileId) => {
      expect(parse(withInstagram({ fileId })).fileId).toBe(fileId);
    },
  );

  it.each([[''], ['x'.repeat(257)], ['a\nb'], ['\u0000'], [7]])('fileId %j is refused', (fileId) => {
    expect(refusedFields(withInstagram({ fileId }))).toEqual(['fileId']);
  });

  it.each([
    ['true', true],
    ['false', false],
    [true, true],
    [false, false],
    [undefined, false],
  ])('isDraft %j is %s', (isDraft, meaning) => {
    expect(parse(withInstagram({ isDraft })).isDraft).toBe(meaning);
  });

  it.each([['TRUE'], ['1'], [''], [1]])('isDraft %j is refused', (isDraft) => {
    expect(refused(withInstagram({ isDraft }))?.['isDraft']).toMatch(/^must be true or false; got /);
  });

  it.each([['tomorrow'], [''], [1772357400000], ['2026-02-30T00:00:00Z']])(
    'scheduledAt %j is refused',
    (value) => {
      expect(refused(withInstagram({ scheduledAt: value }))?.['scheduledAt']).toMatch(
        /^must be ISO 8601 like .*; got /,
      );
    },
  );

  it('texts are bounded and must be text', () => {
    expect(refused(withInstagram({ title: 'x'.repeat(1_000), description: 'x'.repeat(10_000) }))).toBeNull();
    expect(refused(withInstagram({ title: 'x'.repeat(1_001), description: {} }))).toEqual({
      title: `must have at most 1000 characters; got "${'x'.repeat(60)}"…`,
      description: 'must be a string; got an object',
    });
  });

  it('every bad field is named in one answer', () => {
    expect(
      refusedFields({
        fileId: '',
        title: 1,
        description: [],
        profileId: 'nope',
        platforms: '["x"]',
        scheduledAt: 'x',
        isDraft: 'x',
        youtube: '{',
        instagram: '{"autoPublish":1,"accounts":["nope"]}',
        tiktokPrivacy: 'x',
        selectedTiktokAccounts: 'nope',
        linkedin: '[]',
        pinterest: '{"profileId":"nope"}',
      }),
    ).toEqual([
      'description',
      'fileId',
      'instagram.accounts',
      'instagram.autoPublish',
      'isDraft',
      'linkedin',
      'pinterest.profileId',
      'platforms',
      'profileId',
      'scheduledAt',
      'selectedTiktokAccounts',
      'tiktokPrivacy',
      'title',
      'youtube',
    ]);
  });
});

it('a field is ours if and only if it is asked for', () => {
  const asked = new Set<string>();
  const fields = new Proxy<Record<string, unknown>>(
    { platforms: JSON.stringify(PLATFORMS) },
    {
      getOwnPropertyDescriptor: (target, name) => {
        asked.add(String(name));
        return Reflect.getOwnPropertyDescriptor(target, name);
      },
    },
  );
  parse(fields);
  expect(asked.size).toBeGreaterThan(PLATFORMS.length);
  expect([...asked].filter((name) => !isEntryField(name))).toEqual([]);
  for (const name of ['file', 'thumbnail', 'Title', 'youtube.title', '__proto__', 'constructor', ''])
    expect(isEntryField(name), name).toBe(false);
});
