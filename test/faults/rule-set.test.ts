// rule-set.test.ts: the first rule that matches claims an exchange. A rule fires exactly as often as it says, and reports how
// often.

import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { ExchangeFacts } from '../../src/faults/rule-fits.ts';
import type { Claim } from '../../src/faults/rule-armed.ts';
import { RuleSet } from '../../src/faults/rule-set.ts';
import { MAX_RULES, parseRules, type Rule } from '../../src/faults/rules.ts';
import { createSequence } from '../../src/faults/seeded.ts';

const NOW = 1_000_000;
const CHUNK: ExchangeFacts = {
  operation: 'uploadChunk',
  fileId: 'video-1',
  chunkIndex: 2,
  totalChunks: 5,
  attempt: 1,
};

let rules: RuleSet;

beforeEach(() => {
  rules = new RuleSet();
});

type Json = Readonly<Record<string, unknown>>;

function rulesOf(...list: readonly Json[]): Rule[] {
  return parseRules(
    list.map((json) => ({ fault: 'reset', ...json })),
    (at) => `rule-${at}`,
  );
}

function arm(...list: readonly Json[]): void {
  rules.add(rulesOf(...list), NOW);
}

const noDraw = (): number => {
  throw new Error('nothing was to be drawn');
};

function claim(facts: Partial<ExchangeFacts> = {}, now = NOW): Claim | null {
  return rules.claim({ ...CHUNK, ...facts }, noDraw, now);
}

/** Whether it fired. */
function fire(facts: Partial<ExchangeFacts> = {}, now = NOW): boolean {
  const claimed = claim(facts, now);
  claimed?.fired();
  return claimed !== null;
}

function problemsOf(act: () => void): unknown {
  try {
    act();
  } catch (error) {
    if (error instanceof AppError) return { code: error.code, problems: error.details['problems'] };
    throw error;
  }
  return null;
}

describe('a claim', () => {
  it('is null without rules', () => {
    expect(claim()).toBeNull();
  });

  it('carries the rule and its fault', () => {
    arm({ id: 'lose-it', fault: 'close@post-commit' });
    expect(claim()).toMatchObject({ rule: { id: 'lose-it' }, fault: { effect: 'close' } });
  });

  it('goes to the first rule that fits (§10.2)', () => {
    arm({ id: 'other', match: { chunkIndex: 1 } }, { id: 'first' }, { id: 'second' });
    expect(claim()?.rule.id).toBe('first');
    expect(rules.list(NOW).map(({ matched }) => matched)).toEqual([0, 1, 0]);
  });

  it('goes to the next rule once the first is used up', () => {
    arm({ id: 'first' }, { id: 'second' });
    fire();
    expect(claim()?.rule.id).toBe('second');
  });

  it('goes to the next rule while the first one’s last time is reserved', () => {
    arm({ id: 'first' }, { id: 'second' });
    expect(claim()?.rule.id).toBe('first');
    expect(claim()?.rule.id).toBe('second');
    expect(claim()).toBeNull();
  });

  it('is never made in an operation in which the fault cannot happen', () => {
    arm({ fault: 'reset@body:5' });
    expect(claim({ operation: 'getUploadStatus' })).toBeNull();
    expect(claim({ operation: '/__admin/rules' })).toBeNull();
    expect(rules.list(NOW)).toMatchObject([{ matched: 0 }]);
    expect(claim()).not.toBeNull();
  });
});

describe('a match', () => {
  it.each([
    [{ operation: 'uploadChunk' }, {}, true],
    [{ operation: 'getUploadStatus' }, {}, false],
    [{ fileId: 'video-1' }, {}, true],
    [{ fileId: 'video-1' }, { fileId: 'video-12' }, false],
    [{ fileId: 'video-1' }, { fileId: undefined }, false],
    [{ fileId: '*' }, { fileId: undefined }, true],
    [{ fileId: '**' }, {}, true],
    [{ fileId: 'video-*' }, {}, true],
    [{ fileId: 'video-*' }, { fileId: 'a video-1' }, false],
    [{ fileId: '*-1' }, {}, true],
    [{ fileId: '*-1' }, { fileId: 'video-10' }, false],
    [{ fileId: 'a*a' }, { fileId: 'a' }, false],
    [{ fileId: 'a*a' }, { fileId: 'aa' }, true],
    [{ fileId: 'a*b*c' }, { fileId: 'a-b-c' }, true],
    [{ fileId: 'a*b*c' }, { fileId: 'a-c' }, false],
    [{ fileId: 'a*bc*c' }, { fileId: 'abc' }, false],
    [{ fileId: 'a*b*b*c' }, { fileId: 'a-b-c' }, false],
    [{ fileId: '.*' }, {}, false],
    [{ chunkIndex: 2 }, {}, true],
    [{ chunkIndex: 2 }, { chunkIndex: 3 }, false],
    [{ chunkIndex: 2 }, { chunkIndex: undefined }, false],
    [{ chunkIndex: { from: 1, to: 2 } }, {}, true],
    [{ chunkIndex: { from: 3 } }, {}, false],
    [{ chunkIndex: 'first' }, { chunkIndex: 0 }, true],
    [{ chunkIndex: 'last' }, { chunkIndex: 4 }, true],
    [{ chunkIndex: 'last' }, {}, false],
    [{ chunkIndex: 'last' }, { chunkIndex: undefined }, false],
    [{ chunkIndex: 'last' }, { chunkIndex: 4, totalChunks: undefined }, false],
    [{ mediaType: 'video' }, { operation: 'createVideo', mediaType: 'video' }, true],
    [{ mediaType: 'video' }, { operation: 'createVideo', mediaType: undefined }, false],
  ] as const)('of %j and %j is %j', (match, facts, isMatch) => {
    arm({ match });
    expect(claim(facts) !== null).toBe(isMatch);
    expect(rules.list(NOW)).toMatchObject([{ matched: isMatch ? 1 : 0 }]);
  });

  it('of a pattern of many stars comes to its end, which would take for ever if each star were tried at each place', () => {
    arm({ match: { fileId: '*a'.repeat(200) } });
    expect(claim({ fileId: 'a'.repeat(199) + 'b' })).toBeNull();
  });
});

describe('when', () => {
  it('an attempt is named, the others pass and do not count as matches (§10.5)', () => {
    arm({ when: { attempt: '2-3' }, times: 'always' });
    expect([1, 2, 3, 4].map((attempt) => fire({ attempt }))).toEqual([false, true, true, false]);
    expect(fire({ attempt: undefined })).toBe(false);
    expect(rules.list(NOW)).toMatchObject([{ matched: 2, fired: 2 }]);
  });

  it('the nth match is named, the rule fires at that one (§10.5)', () => {
    arm({ when: { nth: [2, 4] }, times: 'always' });
    expect([1, 2, 3, 4, 5].map(() => fire())).toEqual([false, true, false, true, false]);
    expect(rules.list(NOW)).toMatchObject([{ matched: 5, fired: 2 }]);
  });

  it('the first matches are to be skipped, they pass (§10.5)', () => {
    arm({ succeedFirst: 2, failRequestCount: 2 });
    expect([1, 2, 3, 4, 5].map(() => fire())).toEqual([false, false, true, true, false]);
  });

  it('a match that does not fire leaves the exchange to the rules after it', () => {
    arm({ id: 'later', when: { skip: 1 } }, { id: 'now' });
    expect(claim()?.rule.id).toBe('now');
  });

  it('there is a probability, the draws decide, one for each match that could fire', () => {
    arm({ when: { probability: 0.5, skip: 1 }, times: 2 });
    const draws = [0.5, 0.499, 0.9, 0];
    const draw = (): number => draws.shift() ?? noDraw();
    const fired = Array.from({ length: 6 }, () => {
      const claimed = rules.claim(CHUNK, draw, NOW);
      claimed?.fired();
      return claimed !== null;
    });
    expect(fired).toEqual([false, false, true, false, true, false]);
    expect(draws).toEqual([]);
  });

  it('the same seed is drawn from, the same matches fire (§10.5)', () => {
    const run = (): boolean[] => {
      const set = new RuleSet();
      set.add(rulesOf({ when: { probability: 0.3 }, times: 'always' }), NOW);
      const draw = createSequence('a seed');
      return Array.from({ length: 200 }, () => set.claim(CHUNK, draw, NOW) !== null);
    };
    expect(run()).toEqual(run());
    const count = run().filter(Boolean).length;
    expect(count).toBeGreaterThan(35);
    expect(count).toBeLessThan(85);
  });

  it('the time to live is over, the rule does not fire', () => {
    arm({ ttlMs: 1000, times: 'always' });
    expect(fire({}, NOW + 999)).toBe(true);
    expect(fire({}, NOW + 1000)).toBe(false);
    expect(rules.list(NOW + 999)).toMatchObject([{ exhausted: false }]);
    expect(rules.list(NOW + 1000)).toMatchObject([
      { exhausted: true, remaining: null, matched: 1, fired: 1 },
    ]);
  });
});

describe('a reservation', () => {
  it('that is released can be claimed again', () => {
    arm({});
    const first = claim();
    expect(claim()).toBeNull();
    first?.release();
    expect(claim()).not.toBeNull();
  });

  it('is ended once, whatever is called after', () => {
    arm({ times: 3 });
    const fired = claim();
    fired?.fired();
    fired?.release();
    fired?.fired();
    const released = claim();
    released?.release();
    released?.fired(7);
    released?.release();
    expect(rules.list(NOW)).toMatchObject([{ matched: 2, fired: 1, remaining: 2, lastFiredSeq: null }]);
  });

  it('that has fired takes the exchange’s number when it is known', () => {
    arm({ times: 2 });
    claim()?.fired(3);
    expect(rules.list(NOW)).toMatchObject([{ lastFiredSeq: 3 }]);
    const second = claim();
    second?.fired();
    second?.fired(9);
    expect(rules.list(NOW)).toMatchObject([{ fired: 2, lastFiredSeq: 9, exhausted: true }]);
  });

  it('of a rule that was removed meanwhile is harmless', () => {
    arm({ id: 'a' });
    const out = claim();
    rules.replace(rulesOf({ id: 'a' }), NOW);
    out?.fired(1);
    expect(rules.list(NOW)).toMatchObject([{ matched: 0, fired: 0, lastFiredSeq: null }]);
  });
});

describe('a rule fires exactly `times` times', () => {
  const timesOf = fc.integer({ min: 1, max: 5 });
  const step = fc.record({ act: fc.constantFrom('claim', 'fired', 'release'), which: fc.nat() });

  function play(set: RuleSet, times: number, steps: readonly { act: string; which: number }[]): void {
    const open: Claim[] = [];
    let fired = 0;
    for (const { act, which } of steps) {
      // A time is free if and only if the rule has more times than are used or claimed.
      const hasRoom = fired + open.length < times;
      const [ended] = act === 'claim' ? [] : open.splice(which % Math.max(open.length, 1), 1);
      const claimed = act === 'claim' ? set.claim(CHUNK, noDraw, NOW) : null;
      if (act === 'claim') expect(claimed !== null).toBe(hasRoom);
      open.push(...[claimed].filter((one) => one !== null));
      fired += act === 'fired' && ended !== undefined ? 1 : 0;
      ended?.[act === 'fired' ? 'fired' : 'release']();
      expect(set.list(NOW)).toMatchObject([{ fired, remaining: times - fired, exhausted: fired === times }]);
    }
    for (const claimed of open) claimed.release();
    const rest = Array.from({ length: times + 1 }, () => set.claim(CHUNK, noDraw, NOW));
    expect(rest.filter((claimed) => claimed !== null)).toHaveLength(times - fired);
  }

  it('under any interleaving of claims, firings and releases (§10.3)', () => {
    fc.assert(
      fc.property(timesOf, fc.array(step, { maxLength: 60 }), (times, steps) => {
        const set = new RuleSet();
        set.add(rulesOf({ times }), NOW);
        play(set, times, steps);
      }),
    );
  });
});

it('64 exchanges at once: attempts 1 to 3 of chunk 5 fire three times, for no other upload (§10.3)', () => {
  arm({ match: { fileId: 'U', chunkIndex: 5 }, when: { attempt: '1-3' }, times: 3 });
  const claims = Array.from({ length: 64 }, (_, at) =>
    claim({ fileId: at % 2 === 0 ? 'U' : 'V', chunkIndex: 5, attempt: Math.floor(at / 2) + 1 }),
  ).filter((claimed) => claimed !== null);
  expect(claims).toHaveLength(3);
  for (const claimed of claims) claimed.fired();
  expect(rules.list(NOW)).toMatchObject([{ matched: 3, fired: 3, remaining: 0, exhausted: true }]);
});

describe('the view of a rule', () => {
  it('is the rule as given, its counts and its sentence (§11.3)', () => {
    const given = {
      id: 'a',
      match: { chunkIndex: 2 },
      when: { attempt: '1-3' },
      fault: 'reset@body:1KiB',
      times: 2,
    };
    rules.add(
      parseRules(given, () => 'x'),
      NOW,
    );
    fire();
    expect(rules.list(NOW)).toEqual([
      {
        ...given,
        matched: 1,
        fired: 1,
        remaining: 1,
        exhausted: false,
        lastFiredSeq: null,
        explain:
          'On attempts 1 to 3 of chunk 2 of any upload, twice: after 1KiB of the file, reset the connection without an answer.',
      },
    ]);
  });

  it('is found by its id', () => {
    arm({ id: 'a' }, { id: 'b', times: 'always' });
    expect(rules.get('b', NOW)).toMatchObject({ id: 'b', remaining: null });
    expect(rules.get('c', NOW)).toBeNull();
  });
});

describe('the list of rules', () => {
  const ids = (): string[] => rules.list(NOW).map(({ id }) => id);

  it('is appended to, replaced, shortened and cleared', () => {
    arm({ id: 'a' }, { id: 'b' });
    arm({ id: 'c' });
    expect(ids()).toEqual(['a', 'b', 'c']);
    expect(rules.remove('b')).toBe(true);
    expect(rules.remove('b')).toBe(false);
    expect(ids()).toEqual(['a', 'c']);
    rules.replace(rulesOf({ id: 'd' }), NOW);
    expect(ids()).toEqual(['d']);
    rules.clear();
    expect(ids()).toEqual([]);
  });

  it('counts anew what is armed anew, its time to live included', () => {
    arm({ id: 'a', ttlMs: 1000 });
    fire();
    rules.replace(rulesOf({ id: 'a', ttlMs: 1000 }), NOW + 500);
    expect(rules.get('a', NOW + 1400)).toMatchObject({ matched: 0, fired: 0, exhausted: false });
  });

  it('takes no id twice, and then nothing of what came with it', () => {
    arm({ id: 'a' });
    const act = (): void => rules.add(rulesOf({ id: 'b' }, { id: 'a' }), NOW);
    expect(problemsOf(act)).toEqual({
      code: 'invalid_rule',
      problems: [{ pointer: '/1/id', message: 'a rule with the id "a" is armed already' }],
    });
    expect(ids()).toEqual(['a']);
  });

  it('stays as it was when what replaces it is refused', () => {
    arm({ id: 'a' });
    const [rule] = rulesOf({ id: 'b' });
    const twice = rule === undefined ? [] : [rule, rule];
    expect(problemsOf(() => rules.replace(twice, NOW))).toMatchObject({ problems: [{ pointer: '/1/id' }] });
    expect(ids()).toEqual(['a']);
  });

  it('is bounded', () => {
    const many = Array.from({ length: MAX_RULES }, (_, at) => ({ id: `r${at}` }));
    arm(...many);
    expect(problemsOf(() => arm({ id: 'one more' }))).toMatchObject({ problems: [{ pointer: '' }] });
  });
});

describe('what the injector asks before it knows the exchange', () => {
  it.each([
    [{}, false],
    [{ match: { fileId: '*' } }, false],
    [{ when: { nth: 2, skip: 1, probability: 0.5 } }, false],
    [{ match: { mediaType: 'video', operation: 'createVideo' } }, false],
    [{ match: { fileId: 'a' } }, true],
    [{ match: { chunkIndex: 1 } }, true],
    [{ when: { attempt: 1 } }, true],
  ])('%j needs the identity: %j', (json, isNeeded) => {
    arm(json);
    expect(rules.needsIdentity(rulesOf(json)[0]?.operations[0] ?? '', NOW)).toBe(isNeeded);
  });

  it('a rule without it waits for the identity when one before it needs it', () => {
    arm({ match: { chunkIndex: 2 }, fault: 'reset@post-commit' }, { fault: 'status@headers:503' });
    expect(rules.needsIdentity('uploadChunk', NOW)).toBe(true);
    expect(rules.needsIdentity('createVideo', NOW)).toBe(false);
  });

  it('only rules that can still fire in the operation count', () => {
    arm(
      { id: 'a', match: { chunkIndex: 2 }, ttlMs: 1000 },
      { id: 'b', fault: 'close', match: { chunkIndex: 3 } },
    );
    expect(rules.live('uploadChunk', NOW).map(({ id }) => id)).toEqual(['a', 'b']);
    expect(rules.live('getVideo', NOW)).toEqual([]);
    fire({ chunkIndex: 3 });
    expect(rules.live('uploadChunk', NOW).map(({ id }) => id)).toEqual(['a']);
    expect(rules.needsIdentity('uploadChunk', NOW + 1000)).toBe(false);
  });
});

describe('what a transport sends again of a request that a rule hit', () => {
  const again = (id = 'r', now = NOW): Claim | null => rules.claimAgain(id, now);

  it('is hit again by a rule that ignores replays, and nothing is counted', () => {
    arm({ id: 'r', ignoreReplays: true });
    expect(fire()).toBe(true);
    const before = rules.get('r', NOW);
    expect(rules.canRepeat('uploadChunk', NOW)).toBe(true);
    const claimed = again();
    claimed?.fired(7);
    expect(claimed).toMatchObject({ rule: { id: 'r' }, fault: { effect: 'reset' } });
    expect(rules.get('r', NOW)).toEqual(before);
    expect(before).toMatchObject({
      ignoreReplays: true,
      matched: 1,
      fired: 1,
      remaining: 0,
      exhausted: true,
    });
  });

  it('uses up neither `times` nor `nth`', () => {
    arm({ id: 'r', ignoreReplays: true, times: 2, when: { nth: '1-2' } });
    expect([fire(), again() !== null, fire(), again() !== null, fire()]).toEqual([
      true,
      true,
      true,
      true,
      false,
    ]);
    expect(rules.get('r', NOW)).toMatchObject({ matched: 2, fired: 2, remaining: 0 });
  });

  it('is hit once for each time that the rule fired: a transport sends again once', () => {
    arm({ id: 'r', ignoreReplays: true, times: 5 });
    expect(again()).toBeNull();
    fire();
    expect([again() !== null, again()]).toEqual([true, null]);
  });

  it('is counted as any other where the rule does not ignore replays, is another, expired or is gone', () => {
    arm({ id: 'r' }, { id: 'other', ignoreReplays: true }, { id: 'short', ignoreReplays: true, ttlMs: 1000 });
    expect([fire(), fire(), fire()]).toEqual([true, true, true]);
    expect([again('r'), again('none'), again('short', NOW + 1000)]).toEqual([null, null, null]);
    expect(again('short', NOW + 999)).not.toBeNull();
    rules.remove('other');
    expect(again('other')).toBeNull();
    expect(rules.canRepeat('uploadChunk', NOW)).toBe(false);
  });

  it('has to be identified first, and its place in the file to be exact, although the times are used up', () => {
    arm({ id: 'r', fault: 'reset@body:100', ignoreReplays: true });
    fire();
    expect(rules.needsIdentity('uploadChunk', NOW)).toBe(true);
    expect(rules.live('uploadChunk', NOW)).toHaveLength(1);
    again();
    expect([rules.needsIdentity('uploadChunk', NOW), rules.live('uploadChunk', NOW)]).toEqual([false, []]);
  });
});
