// rules.test.ts: a rule means what it says. A rule that is wrong, or could never fire, is refused with each wrong place.

import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { MAX_RULES, parseRules, type ParseOptions, type Rule } from '../../src/faults/rules.ts';

function parse(json: unknown): Rule[] {
  return parseRules(json, (at) => `new-${at}`);
}

function ruleOf(json: Readonly<Record<string, unknown>>): Rule {
  const [rule] = parse({ fault: 'reset', ...json });
  if (rule === undefined) throw new Error('no rule');
  return rule;
}

function refusalOf(json: unknown, options: ParseOptions = {}): AppError {
  try {
    parseRules(json, () => 'x', options);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

function problemsOf(json: unknown, options: ParseOptions = {}): unknown {
  return refusalOf(json, options).details['problems'];
}

describe('a rule', () => {
  it('of behaviour §10 is read whole (§10.1)', () => {
    const given = {
      id: 'lose-the-ack-of-chunk-2',
      match: { operation: 'uploadChunk', fileId: '*', chunkIndex: 2 },
      when: { attempt: 1 },
      fault: 'reset@post-commit',
      times: 1,
      ttlMs: 60_000,
    };
    expect(parse(given)).toEqual([
      {
        id: 'lose-the-ack-of-chunk-2',
        given,
        match: { operation: 'uploadChunk', fileId: null, chunkIndex: { from: 2, to: 2 }, mediaType: null },
        when: { attempt: [{ from: 1, to: 1 }], nth: null, skip: 0, probability: 1 },
        fault: { effect: 'reset', phase: { name: 'post-commit' } },
        times: 1,
        ignoreReplays: false,
        ttlMs: 60_000,
        operations: ['uploadChunk'],
      },
    ]);
  });

  it('of a fault alone happens once, anywhere (§10.6)', () => {
    expect(ruleOf({})).toMatchObject({
      id: 'new-0',
      given: { id: 'new-0', fault: 'reset' },
      match: { operation: null, fileId: null, chunkIndex: null, mediaType: null },
      times: 1,
      ttlMs: null,
    });
    expect(ruleOf({}).operations).toHaveLength(8);
  });

  it('is not changed by what is done to the object it came as', () => {
    const given = { fault: 'reset', match: { chunkIndex: 1 } };
    const [rule] = parse(given);
    given.match.chunkIndex = 2;
    expect(rule?.given).toEqual({ id: 'new-0', fault: 'reset', match: { chunkIndex: 1 } });
  });

  it('may fire always, and for a time that is written with a unit (§10.6)', () => {
    expect(ruleOf({ times: 'always', ttlMs: '2m' })).toMatchObject({ times: Infinity, ttlMs: 120_000 });
  });

  it('takes MockServer’s counts', () => {
    expect(ruleOf({ succeedFirst: 2, failRequestCount: 3 })).toMatchObject({ times: 3, when: { skip: 2 } });
    expect(ruleOf({ when: { skip: 1 }, times: 2 })).toMatchObject({ times: 2, when: { skip: 1 } });
  });

  it.each([
    [3, [{ from: 3, to: 3 }]],
    ['3', [{ from: 3, to: 3 }]],
    ['1-3', [{ from: 1, to: 3 }]],
    ['2 - 3', [{ from: 2, to: 3 }]],
    ['4-', [{ from: 4, to: Infinity }]],
    [{ from: 2, to: 3 }, [{ from: 2, to: 3 }]],
    [{ from: 2 }, [{ from: 2, to: Infinity }]],
    [{ to: 2 }, [{ from: 1, to: 2 }]],
    [
      [1, 3],
      [
        { from: 1, to: 1 },
        { from: 3, to: 3 },
      ],
    ],
  ])('counts attempts and matches as %j', (attempt, spans) => {
    expect(ruleOf({ when: { attempt } }).when.attempt).toEqual(spans);
    expect(ruleOf({ when: { nth: attempt } }).when.nth).toEqual(spans);
  });

  it.each([
    [0, { from: 0, to: 0 }],
    ['first', { from: 0, to: 0 }],
    ['last', 'last'],
    [
      { from: 1, to: 3 },
      { from: 1, to: 3 },
    ],
    [{ to: 3 }, { from: 0, to: 3 }],
  ])('names chunks as %j', (chunkIndex, meant) => {
    expect(ruleOf({ match: { chunkIndex } }).match.chunkIndex).toEqual(meant);
  });

  it.each([
    [{ match: { chunkIndex: 1 } }, ['uploadChunk']],
    [{ match: { mediaType: 'image' } }, ['createImage', 'getImage']],
    [{ match: { fileId: 'a' } }, ['getUploadStatus', 'uploadChunk', 'createVideo', 'createImage']],
    [{ fault: 'reset@body:5' }, ['uploadChunk', 'createVideo', 'createImage']],
    [{ fault: 'fail-publish:youtube', match: { mediaType: 'video' } }, ['createVideo']],
    [{ match: { operation: 'getVideo', mediaType: 'video' } }, ['getVideo']],
  ])('%j is about %j', (json, operations) => {
    expect(ruleOf(json).operations).toEqual(operations);
  });
});

describe('a rule is refused', () => {
  it.each([
    [null, '', 'expected a rule'],
    ['reset', '', 'expected a rule'],
    [{}, '/fault', 'expected a fault'],
    [{ fault: 'reset', faults: [] }, '/faults', 'there is no such field'],
    [{ fault: 'reset', 'a/b~c': 1 }, '/a~1b~0c', 'there is no such field'],
    [JSON.parse('{"fault":"reset","__proto__":{}}'), '/__proto__', 'there is no such field'],
    [{ fault: 'truncate@headers' }, '/fault', 'possible: truncate@response'],
    [{ fault: { effect: 'delay', ms: 'x' } }, '/fault/ms', 'expected a duration'],
    [{ fault: 'reset', match: 3 }, '/match', 'Invalid input'],
    [{ fault: 'reset', match: { foo: 1 } }, '/match/foo', 'there is no such field'],
    [
      { fault: 'reset', match: { operation: 'upload' } },
      '/match/operation',
      'expected one of getUploadStatus',
    ],
    [{ fault: 'reset', match: { fileId: '' } }, '/match/fileId', 'Too small'],
    [{ fault: 'reset', match: { chunkIndex: 'second' } }, '/match/chunkIndex', '"first" or "last"'],
    [
      { fault: 'reset', match: { chunkIndex: { from: 3, to: 1 } } },
      '/match/chunkIndex',
      'ends before it begins',
    ],
    [{ fault: 'reset', when: { attempt: 0 } }, '/when/attempt', 'expected a number from 1 on'],
    [{ fault: 'reset', when: { attempt: '0-3' } }, '/when/attempt', 'expected a number from 1 on'],
    [{ fault: 'reset', when: { attempt: { from: 0 } } }, '/when/attempt/from', '>=1'],
    [{ fault: 'reset', when: { attempt: '3-1' } }, '/when/attempt', 'ends before it begins'],
    [{ fault: 'reset', when: { attempt: [] } }, '/when/attempt', 'Too small'],
    [{ fault: 'reset', when: { nth: 'x' } }, '/when/nth', 'expected a number from 1 on'],
    [{ fault: 'reset', when: { skip: -1 } }, '/when/skip', 'Too small'],
    [{ fault: 'reset', when: { probability: 0 } }, '/when/probability', 'more than 0'],
    [{ fault: 'reset', when: { probability: 2 } }, '/when/probability', 'Too big'],
    [{ fault: 'reset', times: 0 }, '/times', '>=1'],
    [{ fault: 'reset', times: 'often' }, '/times', 'expected a number from 1 on, or "always"'],
    [{ fault: 'reset', ignoreReplays: 'yes' }, '/ignoreReplays', 'expected boolean'],
    [{ fault: 'reset', ttlMs: 0 }, '/ttlMs', 'at least 1 ms'],
    [{ fault: 'reset', ttlMs: true }, '/ttlMs', 'expected a duration'],
    [{ fault: 'reset', id: ' x' }, '/id', 'printable ASCII'],
    [{ fault: 'reset', id: 'a\r\nb' }, '/id', 'printable ASCII'],
    [{ fault: 'reset', times: 1, failRequestCount: 1 }, '/failRequestCount', 'the same as times'],
    [{ fault: 'reset', when: { skip: 1 }, succeedFirst: 1 }, '/succeedFirst', 'the same as when.skip'],
  ])('for %j (§10.4)', (json, pointer, message) => {
    expect(problemsOf(json)).toEqual([{ pointer, message: expect.stringContaining(message) }]);
  });

  it.each([
    [
      { fault: 'reset@body:5', match: { operation: 'getUploadStatus' } },
      '/fault',
      'reset@body:5 is only possible in uploadChunk, createVideo, createImage; the rule is about getUploadStatus',
    ],
    [
      { fault: 'stale-status', match: { operation: 'uploadChunk' } },
      '/fault',
      'only possible in getUploadStatus',
    ],
    [
      { fault: 'stale-status', match: { chunkIndex: 1 } },
      '/match/chunkIndex',
      'this is only possible in uploadChunk; the rule is about getUploadStatus',
    ],
    [
      { fault: 'reset', match: { operation: 'listChannels', fileId: 'a' } },
      '/match/fileId',
      'only possible in',
    ],
    [
      { fault: 'reset', match: { operation: 'createVideo', mediaType: 'image' } },
      '/match/mediaType',
      'only possible in createImage, getImage',
    ],
  ])('that could never fire: %j', (json, pointer, message) => {
    expect(problemsOf(json)).toEqual([{ pointer, message: expect.stringContaining(message) }]);
  });

  it('that ignores replays where no journal tells them', () => {
    const json = { fault: 'reset', ignoreReplays: true };
    expect(problemsOf(json, { isJournalMissing: true })).toEqual([
      { pointer: '/ignoreReplays', message: expect.stringContaining('without --no-journal') },
    ]);
    expect(parse(json)).toMatchObject([{ ignoreReplays: true }]);
  });

  it('without a time to live where it needs one', () => {
    const problems = problemsOf([{ fault: 'reset', ttlMs: '1m' }, { fault: 'reset' }], { isTtlNeeded: true });
    expect(problems).toEqual([
      { pointer: '/1/ttlMs', message: expect.stringContaining('other machines can reach the server') },
    ]);
  });
});

describe('a list of rules', () => {
  it('keeps its order and names those without an id', () => {
    expect(
      parse([{ fault: 'reset' }, { id: 'b', fault: 'close' }, { fault: 'stall' }]).map(({ id }) => id),
    ).toEqual(['new-0', 'b', 'new-2']);
  });

  it('may be empty', () => {
    expect(parse([])).toEqual([]);
  });

  it('is refused with every problem of every rule, as invalid_rule', () => {
    const refusal = refusalOf([{ fault: 'reset' }, { fault: 'explode', times: 0 }, 3]);
    expect(refusal).toMatchObject({ code: 'invalid_rule', status: 400 });
    expect(refusal.details['problems']).toMatchObject([
      { pointer: '/1/fault' },
      { pointer: '/1/times' },
      { pointer: '/2' },
    ]);
    expect(refusal.message).toContain('/1/fault: "explode" is not an effect');
  });

  it('has each id once', () => {
    expect(
      problemsOf([
        { id: 'a', fault: 'reset' },
        { id: 'a', fault: 'close' },
      ]),
    ).toEqual([{ pointer: '/1/id', message: 'another rule has the id "a" already' }]);
  });

  it('is bounded, and so are its problems', () => {
    const many = Array.from({ length: MAX_RULES + 1 }, () => ({ fault: 'reset' }));
    expect(refusalOf(many, { fileName: 'faults.yaml' }).message).toMatch(/^faults\.yaml: got 1001 rules/);
    expect(problemsOf(many)).toEqual([
      { pointer: '', message: `got ${MAX_RULES + 1} rules; at most ${MAX_RULES}` },
    ]);
    expect(problemsOf(many.slice(1).map(() => ({})))).toHaveLength(20);
    const keys = Object.fromEntries(many.map((_, at) => [`key${at}`, at]));
    expect(problemsOf({ fault: 'reset', ...keys })).toHaveLength(20);
  });
});
