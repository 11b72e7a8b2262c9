// exchange.test.ts: secrets never enter an exchange; its size is estimated on the high side, its summary fits one line.

import { describe, expect, it } from 'vitest';
import { approximateBytes, pathWithoutSecrets, summarize } from '../../src/journal/exchange.ts';
import { draft, exchange, lostAnswer } from './drafts.ts';

describe('pathWithoutSecrets', () => {
  it.each([
    ['/media/chunks', '/media/chunks'],
    ['/media/chunks?fileId=a%20b&x', '/media/chunks?fileId=a%20b&x'],
    ['/media/chunks?fileId=f&apiKey=s3cret&y=1', '/media/chunks?fileId=f&apiKey=[redacted]&y=1'],
    ['/m?api_key=s3cret', '/m?api_key=[redacted]'],
    ['/m?X-API-Key=s3cret=more', '/m?X-API-Key=[redacted]'],
    ['/m?api%5Fkey=s3cret', '/m?api%5Fkey=[redacted]'],
    ['/m?access_token=s3cret&token=s3cret', '/m?access_token=[redacted]&token=[redacted]'],
    ['/m?authorization=Bearer+s3cret', '/m?authorization=[redacted]'],
    ['/m?%E0%A4%A=1&=2&', '/m?%E0%A4%A=1&=2&'],
    ['/m?keyboard=1&tokens=2', '/m?keyboard=1&tokens=2'],
    ['/m?', '/m?'],
    ['/m?+=1', '/m?+=1'],
    ['/m?%=1', '/m?%=1'],
  ])('%s is kept as %s', (path, kept) => {
    expect(pathWithoutSecrets(path)).toBe(kept);
  });
});

describe('approximateBytes', () => {
  it('counts what a client can make long, two bytes a character', () => {
    const small = approximateBytes(draft());
    expect(approximateBytes(draft({ path: `/media/chunks?x=${'a'.repeat(1000)}` }))).toBeGreaterThan(
      small + 2000,
    );
    expect(
      approximateBytes(draft({ upload: { fileId: 'f'.repeat(257), chunkIndex: null, attempt: null } })),
    ).toBe(small + 512);
    expect(
      approximateBytes(draft({ contract: { request: ['x'.repeat(100)], response: ['y'.repeat(100)] } })),
    ).toBeGreaterThan(small + 400);
  });

  it('an exchange of which nothing is known has a size, too', () => {
    const bare = draft({
      upload: null,
      body: { declaredBytes: null, receivedBytes: 0, fileBytes: 0, parts: [] },
    });
    expect(approximateBytes(bare)).toBeGreaterThan(1000);
    expect(approximateBytes({ ...bare, requestId: 'r-1' })).toBeGreaterThan(approximateBytes(bare));
    expect(approximateBytes(lostAnswer())).toBeGreaterThan(approximateBytes(draft()));
  });

  it('a form of many parts is large', () => {
    const parts = Array.from({ length: 100 }, (_, index) => ({
      name: `p${index}`,
      bytes: 1,
      crc32: '00000000',
    }));
    const body = { declaredBytes: 1, receivedBytes: 1, fileBytes: 0, parts };
    expect(approximateBytes(draft({ body }))).toBeGreaterThan(16_000);
  });
});

describe('summarize', () => {
  it('says what was asked and how it ended', () => {
    expect(summarize(exchange(7))).toBe(
      '#7 uploadChunk (POST /media/chunks) of "f" chunk 0 attempt 1: 200, answered',
    );
  });

  it('says which fault came of which rule', () => {
    expect(summarize({ ...exchange(8), ...lostAnswer() })).toBe(
      '#8 uploadChunk (POST /media/chunks) of "f" chunk 0 attempt 1: no answer, fault-reset, fault reset@post-commit of rule lose-it',
    );
  });

  it('says the error code, and nothing of an upload that is not known', () => {
    const response = { status: 400, errorCode: 'invalid_request', bytes: 10 };
    expect(summarize(exchange(9, { upload: null, response, outcome: 'refused' }))).toBe(
      '#9 uploadChunk (POST /media/chunks): 400 invalid_request, refused',
    );
    const upload = { fileId: null, chunkIndex: null, attempt: null };
    expect(summarize(exchange(10, { upload }))).toBe('#10 uploadChunk (POST /media/chunks): 200, answered');
  });

  it('cuts what is long', () => {
    const upload = { fileId: 'f'.repeat(256), chunkIndex: null, attempt: null };
    expect(summarize(exchange(11, { path: `/${'p'.repeat(5000)}`, upload })).length).toBeLessThan(300);
  });
});
