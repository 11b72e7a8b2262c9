// http/routes/constant-time.test.ts: the time that a comparison of secrets takes reveals nothing about them (rule K4).
//
// The test does not use a clock, which mostly measures the machine. Every secret is compared as a digest of fixed length, by the
// function that is made for this.
import { timingSafeEqual } from 'node:crypto';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { isSameSecret, Keys } from '../../../src/http/routes/keys.ts';

vi.mock('node:crypto', async (original) => {
  const real = await original<typeof import('node:crypto')>();
  return { ...real, timingSafeEqual: vi.fn(real.timingSafeEqual) };
});

const compared = vi.mocked(timingSafeEqual);
const DIGEST_BYTES = 32;

beforeEach(() => void compared.mockClear());

function comparedLengths(): number[][] {
  return compared.mock.calls.map((pair) => pair.map(({ byteLength }) => byteLength));
}

describe('secrets', () => {
  it.each(['', 'a', 'the-token', 'the-tokem', 'x'.repeat(10_000)])(
    'of any length are compared as digests: %# (K4)',
    (given) => {
      expect(isSameSecret(given, 'the-token')).toBe(given === 'the-token');
      expect(comparedLengths()).toEqual([[DIGEST_BYTES, DIGEST_BYTES]]);
    },
  );

  it.each([['first'], ['second'], ['third'], ['none of them'], ['']])(
    'are all compared, whichever fits: %j (K4)',
    (key) => {
      const keys = new Keys(['first', 'second', 'third']);
      try {
        keys.caller({ 'x-api-key': key });
      } catch {
        // The request is refused; only the comparisons are examined.
      }
      const each = [DIGEST_BYTES, DIGEST_BYTES];
      expect(comparedLengths()).toEqual(key === '' ? [] : [each, each, each]);
    },
  );
});
