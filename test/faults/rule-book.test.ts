// rule-book.test.ts: what the book remembers about namespaces is bounded, and it never forgets rules.
import { describe, expect, it } from 'vitest';
import { RuleBook } from '../../src/faults/rule-book.ts';
import { parseRules } from '../../src/faults/rules.ts';

const RULES = parseRules({ id: 'armed', fault: 'close@headers' }, () => 'unnamed');

describe('keys that come and go without end', () => {
  it('are forgotten in the end, but not those that have rules', () => {
    const book = new RuleBook(null, () => 0);
    book.add('armed', RULES);
    expect([book.attempt('first', 'chunk 0'), book.attempt('first', 'chunk 0')]).toEqual([1, 2]);
    for (let n = 0; n < 10_000; n += 1) book.attempt(`key-${n}`, 'chunk 0');
    expect(book.attempt('first', 'chunk 0')).toBe(1);
    expect(book.list('armed').map(({ id }) => id)).toEqual(['armed']);
  });

  it('are remembered as long as there are not many of them', () => {
    const book = new RuleBook(null, () => 0);
    book.attempt('first', 'chunk 0');
    for (let n = 0; n < 9_000; n += 1) book.attempt(`key-${n}`, 'chunk 0');
    expect(book.attempt('first', 'chunk 0')).toBe(2);
  });
});
