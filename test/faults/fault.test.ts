// fault.test.ts: every notation of a fault means what it says. A fault that cannot happen is refused, and the refusal says what
// can.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EFFECT_NAMES, PHASES, specOf, type Fault } from '../../src/faults/effects.ts';
import { nameOfFault, readFault } from '../../src/faults/fault.ts';

function faultOf(value: unknown): Fault {
  const reading = readFault(value);
  if ('problems' in reading) throw new Error(JSON.stringify(reading.problems));
  return reading.fault;
}

function problemsOf(value: unknown): unknown {
  const reading = readFault(value);
  return 'problems' in reading
    ? reading.problems.map(({ path, message }) => [`/${path.join('/')}`, message])
    : [];
}

function sentenceOf(value: string): string {
  const reading = readFault(value);
  return 'problems' in reading ? reading.problems.map(({ message }) => message).join('; ') : 'a fault';
}

const HEADERS = { name: 'headers' };

describe('the text form', () => {
  it.each([
    ['close', { effect: 'close', phase: HEADERS }],
    ['reset', { effect: 'reset', phase: HEADERS }],
    [' reset ', { effect: 'reset', phase: HEADERS }],
    ['reset @ pre-commit', { effect: 'reset', phase: { name: 'pre-commit' } }],
    ['reset@body', { effect: 'reset', phase: { name: 'body', atByte: 0 } }],
    ['reset@body:262144', { effect: 'reset', phase: { name: 'body', atByte: 262_144 } }],
    ['reset@body:256KiB', { effect: 'reset', phase: { name: 'body', atByte: 262_144 } }],
    ['reset@body:atByte=1KB', { effect: 'reset', phase: { name: 'body', atByte: 1000 } }],
    ['close@response', { effect: 'close', phase: { name: 'response', atByte: 0 } }],
    ['close@response:10', { effect: 'close', phase: { name: 'response', atByte: 10 } }],
    ['stall', { effect: 'stall', phase: HEADERS }],
    ['stall@post-commit:5s', { effect: 'stall', phase: { name: 'post-commit' }, ms: 5000 }],
    ['stall@body:5s', { effect: 'stall', phase: { name: 'body', atByte: 0 }, ms: 5000 }],
    ['stall@body:64KiB', { effect: 'stall', phase: { name: 'body', atByte: 65_536 } }],
    ['stall@body:64KiB,5s', { effect: 'stall', phase: { name: 'body', atByte: 65_536 }, ms: 5000 }],
    ['stall@body:ms=5,64', { effect: 'stall', phase: { name: 'body', atByte: 64 }, ms: 5 }],
    ['delay:250', { effect: 'delay', phase: HEADERS, ms: 250, jitterMs: 0 }],
    ['delay@pre-commit:ms=250', { effect: 'delay', phase: { name: 'pre-commit' }, ms: 250, jitterMs: 0 }],
    ['delay:1s, jitterMs = 50ms', { effect: 'delay', phase: HEADERS, ms: 1000, jitterMs: 50 }],
    ['status:503', { effect: 'status', phase: HEADERS, status: 503, html: false, closing: false }],
    [
      'status@pre-commit:429,retryAfter=2,closing',
      {
        effect: 'status',
        phase: { name: 'pre-commit' },
        status: 429,
        retryAfter: 2,
        html: false,
        closing: true,
      },
    ],
    [
      'status@body:1KiB,502,html,closing=false',
      {
        effect: 'status',
        phase: { name: 'body', atByte: 1024 },
        status: 502,
        html: true,
        closing: false,
      },
    ],
    [
      'status:503,retryAfter=Wed, 21 Oct 2026 07:28:00 GMT,html',
      {
        effect: 'status',
        phase: HEADERS,
        status: 503,
        retryAfter: 'Wed, 21 Oct 2026 07:28:00 GMT',
        html: true,
        closing: false,
      },
    ],
    [
      'status:500,body=a=b:c',
      { effect: 'status', phase: HEADERS, status: 500, body: 'a=b:c', html: false, closing: false },
    ],
    ['throttle:65536', { effect: 'throttle', phase: { name: 'body' }, bytesPerSecond: 65_536 }],
    ['throttle@body:1MiB/s', { effect: 'throttle', phase: { name: 'body' }, bytesPerSecond: 1_048_576 }],
    ['throttle@headers:1MiB', { effect: 'throttle', phase: HEADERS, bytesPerSecond: 1_048_576 }],
    ['throttle@response:10', { effect: 'throttle', phase: { name: 'response' }, bytesPerSecond: 10 }],
    ['truncate', { effect: 'truncate', phase: { name: 'response' } }],
    ['truncate:10', { effect: 'truncate', phase: { name: 'response', atByte: 10 } }],
    ['empty', { effect: 'empty', phase: { name: 'response' } }],
    ['garbage', { effect: 'garbage', phase: { name: 'response' }, bytes: 256 }],
    [
      'garbage@response:7,bytes=1KiB',
      { effect: 'garbage', phase: { name: 'response', atByte: 7 }, bytes: 1024 },
    ],
    ['late-commit:2s', { effect: 'late-commit', phase: { name: 'pre-commit' }, ms: 2000, status: 503 }],
    [
      'late-commit@pre-commit:2s,status=504',
      { effect: 'late-commit', phase: { name: 'pre-commit' }, ms: 2000, status: 504 },
    ],
    ['forget', { effect: 'forget', phase: HEADERS }],
    ['forget@post-commit', { effect: 'forget', phase: { name: 'post-commit' } }],
    ['stale-status', { effect: 'stale-status', phase: { name: 'response' } }],
    ['fail-publish:youtube', { effect: 'fail-publish', phase: { name: 'post-commit' }, platform: 'youtube' }],
    [
      'fail-publish:tiktok,reason=quota',
      { effect: 'fail-publish', phase: { name: 'post-commit' }, platform: 'tiktok', reason: 'quota' },
    ],
  ])('%s (§10.7)', (text, fault) => {
    expect(faultOf(text)).toEqual(fault);
  });

  it.each([
    ['', 'is not a fault'],
    ['reset at body', 'is not a fault'],
    ['explode', '"explode" is not an effect; expected one of close, reset, stall'],
    ['constructor', 'is not an effect'],
    ['reset@nowhere', '"nowhere" is not a phase; possible: reset@headers, reset@body, reset@pre-commit'],
    ['reset@', '"" is not a phase'],
    ['truncate@headers', 'truncate@headers cannot happen; possible: truncate@response'],
    ['truncate@headers:10', 'truncate@headers cannot happen; possible: truncate@response'],
    ['status@response:503', 'status@response cannot happen; possible: status@headers, status@body'],
    ['reset:256KiB', 'reset@headers takes no argument "256KiB"'],
    ['reset@body:1,2', 'reset@body takes no argument "2"'],
    ['reset@body:', 'atByte: expected a size'],
    ['reset@body:5s', 'atByte: expected a size'],
    ['reset@headers:atByte=5', 'atByte: reset@headers takes no byte'],
    ['delay', 'ms: expected a duration'],
    ['delay:64KiB', 'ms: expected a duration'],
    ['delay:8d', 'ms: expected at most 7d'],
    ['delay:5s,ms=5', 'ms: given twice'],
    [
      'delay@body:250',
      'ms: expected a duration such as 500ms, 5s, or milliseconds; "250" was read as the byte',
    ],
    ['status', 'status: expected a status from 200 to 599'],
    ['status:99', 'status: expected a status from 200 to 599'],
    ['status:600', 'status: expected a status from 200 to 599'],
    [
      'status:503,bytes=3',
      'bytes: status@headers takes only status, retryAfter, headers, body, html, closing',
    ],
    ['status:503,constructor=3', 'constructor: status@headers takes only'],
    ['status@body:1,503,bytes=3', 'bytes: status@body takes only atByte, status, retryAfter'],
    ['reset:ms=5', 'ms: reset@headers takes no parameters'],
    ['status:503,retryAfter=soon', 'retryAfter: expected seconds such as 2, 2s, or a date'],
    ['status:503,retryAfter=500ms', 'retryAfter: expected seconds'],
    ['status:503,retryAfter=Invalid Date', 'retryAfter: expected seconds'],
    ['status:503,retryAfter=2026-10-21', 'retryAfter: expected seconds'],
    ['status:503,html=maybe', 'html: expected true or false'],
    ['status:503,html,html', 'html: given twice'],
    ['throttle:0', 'bytesPerSecond: expected at least 1 byte per second'],
    ['throttle:fast', 'bytesPerSecond: expected a size'],
    ['garbage:bytes=0', 'bytes: expected at least 1'],
    ['garbage:bytes=2MiB', 'bytes: expected at most 1MiB'],
    ['late-commit:1s,status=200', 'status: expected a status from 400 to 599'],
    ['fail-publish:myspace', 'platform: expected one of youtube, instagram, tiktok, linkedin, pinterest'],
  ])('%s is refused', (text, sentence) => {
    expect(sentenceOf(text)).toContain(sentence);
    expect(problemsOf(text)).toEqual([['/', sentenceOf(text)]]);
  });

  it('a Retry-After may be a duration of whole seconds', () => {
    expect(faultOf('status:503,retryAfter=2m')).toMatchObject({ retryAfter: 120 });
  });
});

describe('the object form', () => {
  it.each([
    [{ effect: 'reset' }, { effect: 'reset', phase: HEADERS }],
    [
      { effect: 'reset', phase: 'body', atByte: '256KiB' },
      { effect: 'reset', phase: { name: 'body', atByte: 262_144 } },
    ],
    [
      { effect: 'reset', phase: 'body:256KiB' },
      { effect: 'reset', phase: { name: 'body', atByte: 262_144 } },
    ],
    [
      { effect: 'delay', phase: 'response', ms: '1s', jitterMs: 5 },
      { effect: 'delay', phase: { name: 'response', atByte: 0 }, ms: 1000, jitterMs: 5 },
    ],
    [
      { effect: 'status', status: 502, html: true, closing: 'true', body: '<h1>Bad, bad gateway</h1>' },
      {
        effect: 'status',
        phase: HEADERS,
        status: 502,
        html: true,
        closing: true,
        body: '<h1>Bad, bad gateway</h1>',
      },
    ],
    [
      { effect: 'throttle', phase: 'response', bytesPerSecond: 1000 },
      { effect: 'throttle', phase: { name: 'response' }, bytesPerSecond: 1000 },
    ],
  ])('%j (§10.7)', (value, fault) => {
    expect(faultOf(value)).toEqual(fault);
  });

  it.each([
    [null, '/', 'expected a fault such as "reset@post-commit", or an object with an "effect"'],
    [undefined, '/', 'expected a fault'],
    [3, '/', 'expected a fault'],
    [['reset'], '/', 'expected a fault'],
    [{}, '/effect', 'a value of type undefined is not an effect'],
    [{ effect: 'explode' }, '/effect', '"explode" is not an effect'],
    [{ effect: 'reset', phase: 3 }, '/phase', 'a value of type number is not a phase'],
    [{ effect: 'reset', phase: 'never' }, '/phase', '"never" is not a phase'],
    [{ effect: 'empty', phase: 'body:5' }, '/phase', 'empty@body cannot happen; possible: empty@response'],
    [{ effect: 'reset', phase: 'body:5', atByte: 5 }, '/atByte', 'the phase names a byte already'],
    [{ effect: 'reset', phase: 'headers', atByte: 5 }, '/atByte', 'reset@headers takes no byte'],
    [{ effect: 'throttle', atByte: 5, bytesPerSecond: 5 }, '/atByte', 'throttle@body takes no byte'],
    [{ effect: 'reset', phase: 'body', atByte: -1 }, '/atByte', 'expected a size'],
    [{ effect: 'reset', phase: 'body', atByte: null }, '/atByte', 'expected a size'],
    [{ effect: 'reset', ms: 5 }, '/ms', 'reset@headers takes no parameters'],
    [{ effect: 'stall', status: 503 }, '/status', 'stall@headers takes only ms'],
    [{ effect: 'status', status: 503.5 }, '/status', 'expected a status from 200 to 599'],
    [{ effect: 'status', status: 503, retryAfter: -1 }, '/retryAfter', 'expected seconds'],
    [{ effect: 'status', status: 503, retryAfter: true }, '/retryAfter', 'expected seconds'],
    [{ effect: 'status', status: 503, body: 'x'.repeat(65_537) }, '/body', 'Too big'],
    [{ effect: 'throttle', bytesPerSecond: true }, '/bytesPerSecond', 'expected bytes per second'],
  ])('%j is refused', (value, pointer, message) => {
    expect(problemsOf(value)).toEqual([[pointer, expect.stringContaining(message)]]);
  });

  it('every wrong parameter is named', () => {
    expect(problemsOf({ effect: 'delay', ms: 'soon', jitterMs: 'x', extra: 1, more: 2 })).toMatchObject([
      ['/ms', expect.any(String)],
      ['/jitterMs', expect.any(String)],
      ['/extra', 'delay@headers takes only ms, jitterMs'],
      ['/more', 'delay@headers takes only ms, jitterMs'],
    ]);
  });
});

describe('WireMock’s names', () => {
  it.each([
    ['CONNECTION_RESET_BY_PEER', 'reset@headers'],
    ['CONNECTION_RESET_BY_PEER@post-commit', 'reset@post-commit'],
    ['EMPTY_RESPONSE', 'close@headers'],
    ['MALFORMED_RESPONSE_CHUNK', 'garbage@response:0'],
    ['MALFORMED_RESPONSE_CHUNK:12', 'garbage@response:12'],
    ['RANDOM_DATA_THEN_CLOSE', 'garbage@response'],
  ])('%s is %s (§10.17)', (alias, name) => {
    expect(nameOfFault(faultOf(alias))).toBe(name);
  });

  it('work as the effect of an object', () => {
    expect(faultOf({ effect: 'EMPTY_RESPONSE', phase: 'pre-commit' })).toEqual(faultOf('close@pre-commit'));
  });
});

it('a fault’s name is read as that fault again (§10.7)', () => {
  const arguments_: Readonly<Record<string, string>> = {
    delay: ':ms=5',
    status: ':status=503',
    throttle: ':5',
    'late-commit': ':5',
    'fail-publish': ':youtube',
  };
  for (const effect of EFFECT_NAMES) {
    for (const phase of specOf(effect).phases) {
      const fault = faultOf(`${effect}@${phase}${arguments_[effect] ?? ''}`);
      const params = Object.fromEntries(Object.entries(fault).filter(([key]) => key !== 'phase'));
      expect(faultOf({ ...params, phase: nameOfFault(fault).split('@')[1] })).toEqual(fault);
    }
  }
});

it('whatever is written, reading it does not throw', () => {
  const word = fc.constantFrom(
    ...EFFECT_NAMES,
    ...PHASES,
    '@',
    ':',
    ',',
    '=',
    '5s',
    '1MiB',
    '503',
    'html',
    '__proto__',
  );
  const text = fc.array(word, { maxLength: 8 }).map((words) => words.join(''));
  const object = fc.dictionary(fc.constantFrom('effect', 'phase', 'atByte', 'ms', 'status'), fc.anything());
  fc.assert(
    fc.property(fc.oneof(text, object, fc.anything()), (value) => {
      const reading = readFault(value);
      expect('fault' in reading || reading.problems.length > 0).toBe(true);
    }),
  );
});
