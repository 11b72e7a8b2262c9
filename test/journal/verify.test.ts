// verify.test.ts: a verdict is right, and a failed verdict says what was expected, what was found and what came nearest.

import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { ExchangeDraft } from '../../src/journal/exchange.ts';
import { asText } from '../../src/journal/verify-text.ts';
import { parseVerify, verify, type UnfiredRule, type Verdict } from '../../src/journal/verify.ts';
import { chunk, draft, exchange, inARow as record, lostAnswer, statusQuery } from './drafts.ts';

const lostChunk2 = chunk(2, { ...lostAnswer(), upload: { fileId: 'f', chunkIndex: 2, attempt: 1 } });
const again = (chunkIndex: number): ExchangeDraft =>
  draft({ upload: { fileId: 'f', chunkIndex, attempt: 2 }, committed: null });

/** Chunk 2 loses its answer and is sent again after a status query. */
const story = record(chunk(0), chunk(1), lostChunk2, statusQuery(), again(2), chunk(3));

function judge(request: unknown, exchanges = story, unfiredRules: UnfiredRule[] = []): Verdict {
  return verify(parseVerify(request), { exchanges, unfiredRules, evicted: () => 0 });
}

/** Three exchanges are not on record any more. */
function judgeTheRest(request: unknown): Verdict {
  return verify(parseVerify(request), { exchanges: story, unfiredRules: [], evicted: () => 3 });
}

function failed(verdict: Verdict): Verdict & { pass: false } {
  if (verdict.pass) throw new Error('it passed');
  return verdict;
}

describe('expect', () => {
  it.each<[object, boolean]>([
    [{ match: { chunkIndex: 2 } }, true],
    [{ match: { chunkIndex: 2 }, count: 2 }, true],
    [{ match: { chunkIndex: 2 }, count: 1 }, false],
    [{ match: { chunkIndex: 2 }, count: 3 }, false],
    [{ match: { chunkIndex: 9 } }, false],
    [{ match: { chunkIndex: 9 }, count: 0 }, true],
    [{ match: { chunkIndex: 9 }, atMost: 1 }, true],
    [{ match: { chunkIndex: 2 }, atLeast: 2 }, true],
    [{ match: { chunkIndex: 2 }, atLeast: 3 }, false],
    [{ match: { chunkIndex: 2 }, atMost: 1 }, false],
    [{ match: { chunkIndex: 2 }, atLeast: 1, atMost: 2 }, true],
    [{ match: { chunkIndex: 2 }, atLeast: 3, atMost: 4 }, false],
    [{ match: {}, count: 6 }, true],
  ])('%j: %s', (expectation, pass) => {
    expect(judge({ expect: [expectation] }).pass).toBe(pass);
  });

  it('too few: the nearest come first, each with what keeps it from fitting', () => {
    const match = { operation: 'uploadChunk', chunkIndex: 2, attempt: 3 };
    const verdict = failed(judge({ expect: [{ match: { chunkIndex: 2 } }, { match, count: 1 }] }));
    expect(verdict.failures).toHaveLength(1);
    expect(verdict).toMatchObject({
      expected: { match, count: 1 },
      actual: { count: 0, seqs: [] },
      nearMisses: [
        { seq: 5, differs: [{ field: 'attempt', expected: 3, actual: 2 }] },
        { seq: 3, differs: [{ field: 'attempt', expected: 3, actual: 1 }] },
        { seq: 6, differs: [{ field: 'chunkIndex', expected: 2, actual: 3 }, { field: 'attempt' }] },
        { seq: 2 },
        { seq: 1 },
      ],
    });
    expect(verdict.failures[0]).toMatchObject({ kind: 'expect', pointer: '/expect/1' });
    expect(verdict.nearMisses[0]?.exchange).toBe(
      '#5 uploadChunk (POST /media/chunks) of "f" chunk 2 attempt 2: 200, answered',
    );
  });

  it('too few: those that fit are no near misses', () => {
    const { nearMisses } = failed(judge({ expect: [{ match: { chunkIndex: 2 }, count: 3 }] }));
    expect(nearMisses.map(({ seq }) => seq)).not.toContain(5);
  });

  it('too many: they are shown', () => {
    const verdict = failed(judge({ expect: [{ match: { chunkIndex: 2 }, atMost: 1 }] }));
    expect(verdict).toMatchObject({
      actual: { count: 2, seqs: [3, 5] },
      nearMisses: [
        { seq: 3, differs: [] },
        { seq: 5, differs: [] },
      ],
    });
  });
});

describe('sequence', () => {
  const resend = [{ chunkIndex: 2 }, { operation: 'getUploadStatus' }, { chunkIndex: 2, attempt: 2 }];

  it('is met in order, with anything in between', () => {
    expect(judge({ sequence: resend, expect: [{ match: { chunkIndex: 2 }, count: 2 }] })).toEqual({
      pass: true,
    });
    expect(judge({ sequence: [{ chunkIndex: 0 }, { chunkIndex: 3 }] }).pass).toBe(true);
    expect(judge({ sequence: [] }).pass).toBe(true);
  });

  it('goes by the beginnings: what stalled first is met first, although it ended last', () => {
    const silence = { ruleId: 'silence', phase: 'body', effect: 'stall' };
    const stalled = exchange(2, { ...chunk(0), fault: silence, response: null, begun: 1, endedAfter: 2 });
    const exchanges = [exchange(1, { ...again(0), begun: 2, endedAfter: 2 }), stalled];
    const steps = [{ ruleId: 'silence' }, { chunkIndex: 0, status: 200 }];
    expect(judge({ sequence: steps }, exchanges)).toEqual({ pass: true });
    expect(failed(judge({ sequence: steps.toReversed() }, exchanges))).toMatchObject({
      expected: { match: { ruleId: 'silence' }, afterSeq: 1 },
      nearMisses: [{ seq: 2, differs: [{ field: 'order', expected: 'after #1', actual: 2 }] }, {}],
    });
  });

  it('one exchange does not meet two steps', () => {
    expect(judge({ sequence: [{ chunkIndex: 3 }, { chunkIndex: 3 }] }).pass).toBe(false);
  });

  it('says which step was missed, and what came too early for it', () => {
    const verdict = failed(judge({ sequence: [{ operation: 'getUploadStatus' }, { chunkIndex: 1 }] }));
    expect(verdict.failures).toMatchObject([{ kind: 'sequence', pointer: '/sequence/1' }]);
    expect(verdict).toMatchObject({
      expected: { match: { chunkIndex: 1 }, afterSeq: 4 },
      actual: { seqs: [4] },
    });
    expect(verdict.nearMisses.slice(0, 3)).toMatchObject([
      { seq: 6, differs: [{ field: 'chunkIndex', expected: 1, actual: 3 }] },
      { seq: 5, differs: [{ field: 'chunkIndex', expected: 1, actual: 2 }] },
      { seq: 2, differs: [{ field: 'order', expected: 'after #4', actual: 2 }] },
    ]);
  });
});

describe('never', () => {
  it('a matcher that nothing fits passes, one that something fits does not', () => {
    expect(judge({ never: [{ status: 500 }, { chunkIndex: 7 }] }).pass).toBe(true);
    const verdict = failed(judge({ never: [{ status: 500 }, { outcome: 'fault-reset' }] }));
    expect(verdict.failures).toMatchObject([{ kind: 'never', pointer: '/never/1' }]);
    expect(verdict).toMatchObject({
      expected: { never: { outcome: 'fault-reset' } },
      actual: { count: 1, seqs: [3] },
      nearMisses: [{ seq: 3, differs: [] }],
    });
  });

  it('shows the last few of many', () => {
    const { actual, nearMisses } = failed(judge({ never: [{}] }));
    expect(actual).toEqual({ count: 6, seqs: [1, 2, 3, 4, 5, 6] });
    expect(nearMisses.map(({ seq }) => seq)).toEqual([2, 3, 4, 5, 6]);
  });
});

describe('never "acknowledged chunk re-sent"', () => {
  const never = { never: ['acknowledged chunk re-sent'] };

  it.each<[string, ExchangeDraft[]]>([
    ['the first answer was lost', [lostAnswer(), again(0)]],
    ['the first was refused', [draft({ response: { status: 503, bytes: 9 }, outcome: 'refused' }), again(0)]],
    ['the first was answered 503 by a rule', [draft({ response: { status: 503, bytes: 9 } }), again(0)]],
    ['the first was redirected', [draft({ response: { status: 199, bytes: 9 } }), again(0)]],
    ['nothing of the first answer is known', [draft({ response: null }), again(0)]],
    ['the client left during the first answer', [draft({ outcome: 'client-aborted' }), again(0)]],
    [
      'the first answer was empty',
      [draft({ fault: { ruleId: 'r', phase: 'post-commit', effect: 'empty' } }), again(0)],
    ],
    [
      'the server had forgotten it',
      [draft(), statusQuery({ fault: { ruleId: 'r', phase: 'headers', effect: 'forget' } }), again(0)],
    ],
    ['the server stored it anew', [draft(), draft()]],
    [
      'it was of another upload',
      [draft(), draft({ ...again(0), upload: { fileId: 'g', chunkIndex: 0, attempt: 1 } })],
    ],
    ['it was of another namespace', [draft(), { ...again(0), namespace: 'ns_b' }]],
    ['it was another chunk', [chunk(0), again(1)]],
    ['it was no chunk', [draft(), statusQuery()]],
    ['it did not say which', [draft(), { ...again(0), upload: null }]],
    [
      'it did not say which upload',
      [draft(), { ...again(0), upload: { fileId: null, chunkIndex: 0, attempt: null } }],
    ],
    [
      'it did not say which chunk',
      [draft(), { ...again(0), upload: { fileId: 'f', chunkIndex: null, attempt: null } }],
    ],
  ])('passes when %s', (_, drafts) => {
    expect(judge(never, record(...drafts)).pass).toBe(true);
  });

  it('fails when the client had been told that it is stored, even if a delay had touched the answer', () => {
    const slow = draft({ fault: { ruleId: 'r', phase: 'post-commit', effect: 'delay' } });
    const verdict = failed(judge(never, record(slow, again(0), chunk(1), again(0))));
    expect(verdict).toMatchObject({
      expected: { never: 'acknowledged chunk re-sent' },
      actual: { count: 2, seqs: [2, 4] },
    });
  });

  /** Stored, and its answer was lost. */
  const lost = (chunkIndex: number, offset: number | null = 100 * chunkIndex): ExchangeDraft =>
    chunk(chunkIndex, { ...lostAnswer(), upload: uploadOf(chunkIndex), committed: { offset, bytes: 100 } });
  const uploadOf = (chunkIndex: number): ExchangeDraft['upload'] => ({ fileId: 'f', chunkIndex, attempt: 1 });
  const told = (currentSize: number, changes: Partial<ExchangeDraft> = {}): ExchangeDraft =>
    statusQuery({ told: { exists: true, currentSize }, ...changes });
  const gone = statusQuery({ told: { exists: false, currentSize: 0 } });
  const refused = (errorCode: string): ExchangeDraft =>
    draft({ ...again(9), response: { status: 409, errorCode, bytes: 9 }, outcome: 'refused' });

  it.each<[string, ExchangeDraft[], number[]]>([
    ['was told by a status', [lost(0), told(100), again(0)], [3]],
    ['was told by the status of several chunks', [lost(0), lost(1), told(200), again(0), again(1)], [4, 5]],
    [
      'was told, and it waited beyond a gap',
      [lost(2, null), lost(1, null), lost(0), told(300), again(2)],
      [5],
    ],
    [
      'was told, and chunks before it are not on record any more',
      [lost(5), lost(6, null), told(700), again(6), again(5), again(4)],
      [4, 5],
    ],
    ['was told by a status that was answered slowly', [lost(0), told(100, touched('delay')), again(0)], [3]],
    [
      'was told by a status that a rule made up',
      [lost(0), lost(1), told(100, touched('stale-status')), again(0)],
      [4],
    ],
    [
      'was told of a late commit, after a status that did not know it',
      [lost(0), gone, told(100), again(0)],
      [4],
    ],
    [
      'was told of an empty file',
      [draft({ ...lost(0), committed: { offset: 0, bytes: 0 } }), told(0), again(0)],
      [3],
    ],
    ['was told after it had been stored anew', [lost(0), told(100), lost(0), told(100), again(0)], [5]],
    ['was told by a 2xx, and the status says no less', [chunk(0), chunk(1), told(200), again(1)], [4]],
    [
      'was told by a 2xx, beyond a gap, where a status tells of nothing',
      [beyondGap(2), told(0), again(2)],
      [3],
    ],
  ])('fails when the client %s', (_, drafts, seqs) => {
    expect(failed(judge(never, record(...drafts)))).toMatchObject({ actual: { seqs } });
  });

  it.each<[string, ExchangeDraft[]]>([
    ['a status that does not cover it', [lost(0), lost(1), told(100), again(1)]],
    ['a status that covers it in part', [lost(0), told(50), again(0)]],
    ['a status before it was stored', [told(100), lost(0), again(0)]],
    [
      'a status of another upload',
      [lost(0), told(100, { upload: { fileId: 'g', chunkIndex: null, attempt: 1 } }), again(0)],
    ],
    ['a status of another namespace', [lost(0), told(100, { namespace: 'ns_b' }), again(0)]],
    ['a status that was not answered', [lost(0), told(100, { outcome: 'client-aborted' }), again(0)]],
    ['a status that was cut', [lost(0), told(100, touched('truncate')), again(0)]],
    ['a status whose answer says nothing', [lost(0), statusQuery(), again(0)]],
    ['a size at which no chunk ends that is on record', [lost(0), told(150), again(0)]],
    ['a status, and then of its end', [lost(0), told(100), gone, again(0)]],
    ['a status, and then of less', [lost(0), lost(1), told(200), told(100), again(1)]],
    ['a 2xx, and then by a status of less', [chunk(0), chunk(1), told(100), again(1)]],
    ['a 2xx, and then of its end', [chunk(0), gone, again(0)]],
    ['a status, and then refused for a gap', [lost(0), told(100), refused('chunk_out_of_order'), again(0)]],
    ['a status, and then refused as not there', [lost(0), told(100), refused('upload_not_found'), again(0)]],
    [
      'a status, and then refused as incomplete',
      [lost(0), told(100), refused('upload_incomplete'), again(0)],
    ],
    ['a status, and the server forgot it', [lost(0), told(100), statusQuery(touched('forget')), again(0)]],
    [
      'a status of the upload before this one, of which another chunk is there again',
      [lost(0), lost(1), told(200), lost(0), again(1)],
    ],
    [
      'a status of the upload before this one, which had smaller chunks',
      [lost(1), wide(0), told(200), again(1)],
    ],
    [
      'a status that covers what was stored in the place of it',
      [lost(0), lost(1), told(200), wide(0), told(200), again(1)],
    ],
    ['a gap that is not closed', [lost(0), beyondGap(2), lost(3, null), told(100), again(3)]],
  ])('passes when the client was told by %s', (_, drafts) => {
    expect(judge(never, record(...drafts)).pass).toBe(true);
  });

  function touched(effect: string): Partial<ExchangeDraft> {
    return { fault: { ruleId: 'r', phase: 'response', effect } };
  }

  function beyondGap(chunkIndex: number): ExchangeDraft {
    return chunk(chunkIndex, { committed: { offset: null, bytes: 100 } });
  }

  /** Twice as many bytes as the others have. */
  function wide(chunkIndex: number): ExchangeDraft {
    return draft({ ...lost(chunkIndex), committed: { offset: 200 * chunkIndex, bytes: 200 } });
  }

  it('takes no longer for long uploads than for short ones', () => {
    const chunks = Array.from({ length: 20_000 }, (_, index) => lost(index));
    const drafts = chunks.flatMap((one, index) => [one, told(100 * (index + 1))]);
    const exchanges = record(...drafts, again(7));
    const begun = process.cpuUsage();
    expect(failed(judge(never, exchanges))).toMatchObject({ actual: { seqs: [40_001] } });
    // It measures work, not time: comparing each chunk with each other would do many times as much.
    expect(process.cpuUsage(begun).user / 1000).toBeLessThan(2_000);
  });

  it('fails on every one after the second, and passes the story of a lost answer', () => {
    expect(judge(never).pass).toBe(true);
    expect(judge(never, record(lostAnswer(), again(0), again(0))).pass).toBe(false);
  });
});

describe('where exchanges are not on record any more', () => {
  const MORE = { inconclusive: true, evicted: 3 };

  it.each<[object, object]>([
    [{ never: [{ status: 503 }] }, MORE],
    [{ never: ['acknowledged chunk re-sent'] }, MORE],
    [{ expect: [{ match: { chunkIndex: 2 }, atMost: 2 }] }, MORE],
    [{ expect: [{ match: { chunkIndex: 2 }, count: 2 }] }, MORE],
    [{ expect: [{ match: { chunkIndex: 2 }, count: 3 }] }, MORE],
    [{ expect: [{ match: { chunkIndex: 9 } }] }, MORE],
    [{ sequence: [{ chunkIndex: 3 }, { chunkIndex: 0 }] }, MORE],
  ])('%j is inconclusive, and no pass', (request, expected) => {
    expect(judgeTheRest(request)).toMatchObject({
      pass: false,
      ...expected,
      failures: [{ inconclusive: true }],
    });
  });

  it.each<[object, boolean]>([
    [{ expect: [{ match: { chunkIndex: 2 }, atLeast: 2 }] }, true],
    [{ sequence: [{ chunkIndex: 0 }, { chunkIndex: 3 }] }, true],
    [{}, true],
    [{ expect: [{ match: { chunkIndex: 2 }, atMost: 1 }] }, false],
    [{ expect: [{ match: { chunkIndex: 2 }, count: 1 }] }, false],
    [{ never: [{ chunkIndex: 2 }] }, false],
  ])('%j is certain all the same: %s', (request, pass) => {
    const verdict = judgeTheRest(request);
    expect(verdict.pass).toBe(pass);
    expect(verdict).not.toHaveProperty('inconclusive');
  });

  it('one certain failure is a failure, and comes first', () => {
    const verdict = failed(judgeTheRest({ never: [{ status: 503 }, { chunkIndex: 2 }] }));
    expect([verdict.inconclusive, verdict.evicted, verdict.expected]).toEqual([
      undefined,
      3,
      { never: { chunkIndex: 2 } },
    ]);
    expect(asText(verdict)).toContain('FAIL: 2 checks failed\n\nnever /never/0 (inconclusive)');
  });

  it('a person is told what to do', () => {
    expect(asText(judgeTheRest({ never: [{ status: 503 }] }))).toContain(
      'INCONCLUSIVE: 1 check cannot be decided, since 3 exchanges are not on record any more; clear the journal',
    );
  });
});

describe('rules that never fired', () => {
  const rule: UnfiredRule = {
    ruleId: 'r',
    explain: 'resets chunk 9 after it is stored',
    match: { operation: 'uploadChunk', chunkIndex: 9 },
  };

  it('fail every verification, also the empty one', () => {
    expect(judge({}).pass).toBe(true);
    expect(judge({}, story, [rule]).pass).toBe(false);
    const verdict = failed(
      judge({ expect: [{ match: {} }], unfiredRules: true }, story, [rule, { ruleId: 's' }]),
    );
    expect(verdict).toMatchObject({
      expected: rule,
      actual: { fired: 0 },
      nearMisses: [{ seq: 6, differs: [{ field: 'chunkIndex', expected: 9, actual: 3 }] }, {}, {}, {}, {}],
    });
    expect(verdict.failures).toMatchObject([
      { kind: 'unfiredRule' },
      { kind: 'unfiredRule', expected: { ruleId: 's' }, nearMisses: [] },
    ]);
  });

  it('are left out when asked to', () => {
    expect(judge({ unfiredRules: false }, story, [rule])).toEqual({ pass: true });
  });
});

describe('parseVerify', () => {
  it.each<[unknown, string[]]>([
    [[], ['']],
    [{ expected: [] }, ['/expected']],
    [{ expect: [{}] }, ['/expect/0/match']],
    [{ expect: [{ match: { chunk: 1 } }] }, ['/expect/0/match/chunk']],
    [{ expect: [{ match: {} }, { match: {}, count: 1, atMost: 2 }] }, ['/expect/1']],
    [{ expect: [{ match: {}, count: 1, atLeast: 0 }] }, ['/expect/0']],
    [{ expect: [{ match: {}, atLeast: 2, atMost: 1 }] }, ['/expect/0']],
    [{ expect: [{ match: {}, count: -1 }] }, ['/expect/0/count']],
    [{ sequence: [{ outcome: 'x' }] }, ['/sequence/0/outcome']],
    [{ sequence: { chunkIndex: 1 } }, ['/sequence']],
    [{ never: ['something else'] }, ['/never/0']],
    [{ never: [{ chunk: 1, status: 1 }] }, ['/never/0/status', '/never/0/chunk']],
    [{ never: [1] }, ['/never/0']],
    [{ never: [{ status: 1 }] }, ['/never/0/status']],
    [{ never: [{ status: '200' }] }, ['/never/0/status']],
    [{ unfiredRules: 1 }, ['/unfiredRules']],
    [{ never: Array.from({ length: 101 }, () => ({})) }, ['/never']],
  ])('%j is refused at %j', (value, pointers) => {
    const refusal = refusalOf(() => parseVerify(value));
    expect(refusal.details['problems']).toMatchObject(pointers.map((pointer) => ({ pointer })));
  });

  it('names the never-events when one is not known', () => {
    expect(() => parseVerify({ never: ['x'] })).toThrow('acknowledged chunk re-sent');
  });
});

function refusalOf(parse: () => unknown): AppError {
  try {
    parse();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('asText', () => {
  it('a pass is one word', () => {
    expect(asText({ pass: true })).toBe('PASS\n');
  });

  it('a failure is readable without the JSON', () => {
    const text = asText(
      judge(
        { expect: [{ match: { operation: 'uploadChunk', chunkIndex: 3 }, count: 2 }] },
        record(chunk(2), chunk(3)),
      ),
    );
    expect(text).toBe(`FAIL: 1 check failed

expect /expect/0
  expected: operation uploadChunk, chunkIndex 3: 2 times
  actual: 1 times (#2)
  nearest:
    #1 uploadChunk (POST /media/chunks) of "f" chunk 2 attempt 1: 200, answered
      but chunkIndex is 2, not 3
`);
  });

  it.each<[object, string]>([
    [{ expect: [{ match: {}, atLeast: 7 }] }, 'any exchange: at least 7 times'],
    [{ expect: [{ match: {}, atMost: 2 }] }, 'any exchange: at most 2 times'],
    [{ expect: [{ match: {}, atLeast: 1, atMost: 2 }] }, 'any exchange: 1 to 2 times'],
    [{ expect: [{ match: { ruleId: 'x' } }] }, 'but ruleId is none, not x'],
    [{ sequence: [{ chunkIndex: 9 }] }, 'expected: chunkIndex 9\n  actual: it never came'],
    [
      { sequence: [{ chunkIndex: 3 }, { chunkIndex: 1 }] },
      'expected: chunkIndex 1, after #6\n  actual: it did not come after the steps before it (#6)',
    ],
    [
      { never: [{ chunkIndex: 3 }] },
      'expected: never: chunkIndex 3\n  actual: 1 times (#6)\n  these:\n    #6',
    ],
    [{ never: [{ chunkIndex: 3 }], sequence: [{ chunkIndex: 9 }] }, 'FAIL: 2 checks failed'],
  ])('%j says: %s', (request, sentence) => {
    expect(asText(judge(request))).toContain(sentence);
  });

  it('says which acknowledged chunk was sent again, and which rule did not fire', () => {
    const request = { never: ['acknowledged chunk re-sent'] };
    const rules = [
      { ruleId: 'r', explain: 'resets chunk 9' },
      { ruleId: 's' },
      { ruleId: 't', namespace: 'ns_1' },
    ];
    const text = asText(judge(request, record(draft(), again(0)), rules));
    expect(text).toContain('expected: never: acknowledged chunk re-sent\n  actual: 1 times (#2)');
    expect(text).toContain('expected: rule r fires: resets chunk 9\n  actual: it never fired');
    expect(text).toContain('expected: rule s fires\n');
    expect(text).toContain('expected: rule t of ns_1 fires\n');
  });
});
