// har.test.ts: the export is HAR 1.2, with nothing in it that the journal does not have.

import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { toHar } from '../../src/journal/har.ts';
import { draft, exchange, lostAnswer, openJournal, statusQuery } from './drafts.ts';

const atLeastZero = z.number().min(0);
const named = z.strictObject({ name: z.string(), value: z.string() });
const sizes = { headersSize: z.literal(-1), bodySize: z.int().min(-1) };
const head = { httpVersion: z.string(), cookies: z.tuple([]), headers: z.tuple([]), ...sizes };
const param = z.looseObject({ name: z.string(), fileName: z.string().optional() });

/** The fields that HAR 1.2 asks for, and those of its optional ones that are used here. */
const harSchema = z.strictObject({
  log: z.strictObject({
    version: z.literal('1.2'),
    creator: z.strictObject({ name: z.string(), version: z.string() }),
    entries: z.array(
      z
        .object({
          startedDateTime: z.iso.datetime(),
          time: atLeastZero,
          request: z.strictObject({
            method: z.string(),
            url: z.url(),
            queryString: z.array(named),
            postData: z
              .strictObject({ mimeType: z.string(), params: z.array(param) }) // Params or a text, never both.
              .optional(),
            ...head,
          }),
          response: z.strictObject({
            status: z.int(),
            statusText: z.string(),
            content: z.strictObject({ size: atLeastZero, mimeType: z.string() }),
            redirectURL: z.string(),
            ...head,
          }),
          cache: z.strictObject({}),
          timings: z.strictObject({ send: atLeastZero, wait: atLeastZero, receive: atLeastZero }),
          connection: z.string(),
        })
        .catchall(z.unknown())
        .refine(
          ({ time, timings: { send, wait, receive } }) => Math.abs(send + wait + receive - time) < 1e-9,
        ),
    ),
  }),
});

const exchanges = [
  exchange(1, { requestId: 'r-1' }),
  exchange(2, statusQuery()),
  exchange(3, lostAnswer()),
  exchange(4, { timing: { firstByteMs: 1, bodyMs: 8, totalMs: 6 } }),
  exchange(5, { timing: { firstByteMs: null, bodyMs: null, totalMs: 6 } }),
  exchange(6, { path: 'http://other.example/media/chunks' }),
  exchange(7, { response: { status: 507, errorCode: 'insufficient_storage', bytes: 5 }, outcome: 'refused' }),
];

describe('toHar', () => {
  const har = toHar(exchanges, '1.2.3', 'http://127.0.0.1:4310');
  const { entries } = har.log;

  it('is HAR 1.2', () => {
    expect(harSchema.parse(har).log.creator).toEqual({ name: 'xenonflare-mock', version: '1.2.3' });
    expect(harSchema.parse(toHar([], '1')).log.entries).toEqual([]);
  });

  it('says the request with an absolute address, its query and the sizes of its parts', () => {
    expect(entries[0]?.request).toMatchObject({
      method: 'POST',
      url: 'http://127.0.0.1:4310/media/chunks',
      bodySize: 500,
      postData: {
        mimeType: 'multipart/form-data',
        params: [
          { name: 'fileId', _bytes: 1 },
          { name: 'file', fileName: 'f.mp4', _bytes: 100, _crc32: '0a1b2c3d' },
        ],
      },
    });
    expect(entries[1]?.request).toMatchObject({ queryString: [{ name: 'fileId', value: 'f' }] });
    expect(entries[1]?.request).not.toHaveProperty('postData');
    expect(entries[5]?.request).toMatchObject({ url: 'http://other.example/media/chunks' });
    expect(toHar(exchanges, '1').log.entries[0]?.request).toMatchObject({
      url: 'http://localhost/media/chunks',
    });
  });

  it('an exchange without an answer has status 0', () => {
    expect(entries[0]?.response).toMatchObject({ status: 200, bodySize: 90, content: { size: 90 } });
    expect(entries[2]?.response).toMatchObject({ status: 0, bodySize: -1, content: { size: 0 } });
  });

  it('times add up, whatever came first', () => {
    expect(entries.map(({ timings: { send, wait, receive } }) => [send, wait, receive])).toEqual([
      [3, 1, 1],
      [3, 1, 1],
      [3, 1, 1],
      [8, 0, 0],
      [0, 6, 0],
      [3, 1, 1],
      [3, 1, 1],
    ]);
  });

  it('our own facts stand in fields that begin with an underscore', () => {
    expect(entries[0]).toMatchObject({ _seq: 1, _requestId: 'r-1', _outcome: 'answered', connection: '1' });
    expect(entries[1]).not.toHaveProperty('_requestId');
    expect(entries[2]).toMatchObject({
      _fault: { ruleId: 'lose-it', phase: 'post-commit', effect: 'reset' },
      _errorCode: null,
      _committed: { offset: 0, bytes: 100 },
    });
    expect(entries[6]).toMatchObject({ _errorCode: 'insufficient_storage' });
    const known = ['startedDateTime', 'time', 'request', 'response', 'cache', 'timings', 'connection'];
    for (const entry of entries) {
      expect(
        Object.keys(entry)
          .filter((key) => !key.startsWith('_'))
          .toSorted(),
      ).toEqual(known.toSorted());
    }
  });

  it('of a journal has no secret in it', () => {
    const journal = openJournal();
    journal.append(draft({ path: '/media/chunks?fileId=f&token=s3cret' }));
    const text = JSON.stringify(toHar(journal.find('*').exchanges, '1'));
    expect(text).not.toContain('s3cret');
    expect(text).toContain('fileId');
  });
});
