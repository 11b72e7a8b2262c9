// matcher.test.ts: a matcher means what it says, and one that says something else is refused at the very place.

import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import {
  describeMatcher,
  distance,
  matches,
  parseMatcher,
  testOf,
  type JournalMatcher,
} from '../../src/journal/matcher.ts';
import { exchange, lostAnswer } from './drafts.ts';

const refused = exchange(5, {
  upload: { fileId: 'f', chunkIndex: 2, attempt: 3 },
  response: { status: 409, errorCode: 'chunk_conflict', bytes: 200 },
  outcome: 'refused',
});
const lost = { ...exchange(6), ...lostAnswer() };
const bare = exchange(7, { upload: null, response: null, outcome: 'client-aborted' });

function problemsOf(parse: () => unknown): unknown {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    expect([error.code, error.status]).toEqual(['invalid_matcher', 400]);
    return error.details['problems'];
  }
  return 'accepted';
}

describe('matches', () => {
  it.each<[JournalMatcher, number[]]>([
    [{}, [5, 6, 7]],
    [{ operation: 'uploadChunk' }, [5, 6, 7]],
    [{ operation: 'getUploadStatus' }, []],
    [{ operation: '*' }, [5, 6, 7]],
    [{ fileId: 'f' }, [5, 6]],
    [{ fileId: '*' }, [5, 6]],
    [{ fileId: 'F' }, []],
    [{ chunkIndex: 0 }, [6]],
    [{ chunkIndex: 2, attempt: 3 }, [5]],
    [{ chunkIndex: 2, attempt: 1 }, []],
    [{ status: 409 }, [5]],
    [{ status: 200 }, []],
    [{ errorCode: 'chunk_conflict' }, [5]],
    [{ errorCode: '*' }, [5]],
    [{ outcome: 'fault-reset' }, [6]],
    [{ ruleId: 'lose-it' }, [6]],
    [{ ruleId: '*' }, [6]],
    [{ sinceSeq: 0 }, [5, 6, 7]],
    [{ sinceSeq: 5 }, [6, 7]],
    [{ sinceSeq: 7 }, []],
  ])('%j fits %j (§11.4)', (matcher, seqs) => {
    const all = [refused, lost, bare];
    expect(all.filter((item) => matches(item, matcher)).map(({ seq }) => seq)).toEqual(seqs);
    expect(all.filter(testOf(matcher)).map(({ seq }) => seq)).toEqual(seqs);
    for (const item of all) expect(distance(item, matcher).length === 0).toBe(matches(item, matcher));
  });
});

describe('distance', () => {
  it('names every field that differs, with what was expected and what was there', () => {
    expect(
      distance(refused, { operation: 'uploadChunk', chunkIndex: 1, status: 200, ruleId: '*', sinceSeq: 5 }),
    ).toEqual([
      { field: 'chunkIndex', expected: 1, actual: 2 },
      { field: 'status', expected: 200, actual: 409 },
      { field: 'ruleId', expected: '*', actual: null },
      { field: 'sinceSeq', expected: 5, actual: 5 },
    ]);
  });
});

describe('parseMatcher', () => {
  it('takes every documented field (§11.4)', () => {
    const matcher = {
      operation: 'uploadChunk',
      fileId: 'f',
      chunkIndex: 0,
      attempt: 1,
      status: 200,
      errorCode: 'chunk_conflict',
      outcome: 'answered',
      ruleId: 'r',
      sinceSeq: 0,
    };
    expect(parseMatcher(matcher)).toEqual(matcher);
    expect(parseMatcher({})).toEqual({});
  });

  it.each<[unknown, string[]]>([
    [{ chunk: 1 }, ['/chunk']],
    [{ 'a/b~c': 1, chunkIndex: -1 }, ['/chunkIndex', '/a~1b~0c']],
    [{ chunkIndex: '1' }, ['/chunkIndex']],
    [{ chunkIndex: 1.5 }, ['/chunkIndex']],
    [{ attempt: 0 }, ['/attempt']],
    [{ status: 99 }, ['/status']],
    [{ outcome: 'lost' }, ['/outcome']],
    [{ fileId: '' }, ['/fileId']],
    [{ fileId: null }, ['/fileId']],
    [[], ['']],
    [null, ['']],
    ['uploadChunk', ['']],
  ])('%j is refused at %j', (value, pointers) => {
    const problems = problemsOf(() => parseMatcher(value));
    expect(problems).toEqual(
      pointers.map((pointer) => ({ pointer, message: expect.stringMatching(/.{5}/) })),
    );
  });

  it('does not list thousands of unknown fields', () => {
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`x${index}`, 1]));
    expect(problemsOf(() => parseMatcher(many))).toHaveLength(20);
  });

  it('the message says where and what', () => {
    expect(() => parseMatcher({ chunk: 1 })).toThrow('/chunk: there is no such field');
    expect(() => parseMatcher(1)).toThrow(/^Invalid input/);
  });
});

it('describeMatcher says the fields in words', () => {
  expect(describeMatcher({ operation: 'uploadChunk', chunkIndex: 2 })).toBe(
    'operation uploadChunk, chunkIndex 2',
  );
  expect(describeMatcher({ fileId: undefined })).toBe('any exchange');
});
