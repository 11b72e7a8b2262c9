// rules-file.test.ts: rules are read from YAML and JSON; each error names the file.

import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { readRulesFile } from '../../src/faults/rules-file.ts';

function refusalOf(text: string): AppError {
  try {
    readRulesFile(text, 'faults.yaml');
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('a rules file', () => {
  it('in YAML is read', () => {
    const text = `
# The answer to chunk 2 is lost.
- id: lose-the-ack
  match: { operation: uploadChunk, chunkIndex: 2 }
  when: { attempt: 1-3 }
  fault: reset@post-commit
  times: always
- fault: { effect: status, status: 503, retryAfter: 2 }
  ttlMs: 10m
`;
    expect(readRulesFile(text, 'faults.yaml')).toMatchObject([
      { id: 'lose-the-ack', when: { attempt: [{ from: 1, to: 3 }] }, times: Infinity },
      { id: 'rule-2', fault: { status: 503, retryAfter: 2 }, ttlMs: 600_000 },
    ]);
  });

  it('in JSON is read, tabs and all', () => {
    const text = JSON.stringify([{ fault: 'close', match: { chunkIndex: 1 } }], null, '\t');
    expect(readRulesFile(text, 'faults.json')).toMatchObject([{ id: 'rule-1', fault: { effect: 'close' } }]);
  });

  it('may hold one rule', () => {
    expect(readRulesFile('fault: reset', 'faults.yaml')).toHaveLength(1);
  });
});

describe('a rules file is refused', () => {
  it('with the place in the data', () => {
    const refusal = refusalOf('- fault: reset\n- fault: explode\n');
    expect(refusal.code).toBe('invalid_rule');
    expect(refusal.message).toMatch(/^faults\.yaml: \/1\/fault: "explode" is not an effect/);
    expect(refusal.details['problems']).toMatchObject([{ pointer: '/1/fault' }]);
  });

  it.each([
    ['- fault: [reset', /at line 1, column 16$/],
    ['fault: reset\nfault: close\n', /^faults\.yaml: Map keys must be unique at line 2, column 1$/],
    ['fault: reset\n---\nfault: reset\n', /^faults\.yaml: Source contains multiple documents at line 2/],
    ['fault: *nowhere', /Unresolved alias/],
    ['', /expected a rule/],
  ])('with the place in the text: %j', (text, message) => {
    expect(refusalOf(text).message).toMatch(message);
    expect(refusalOf(text).code).toBe('invalid_rule');
  });

  it('that would grow without bounds', () => {
    const lists = Array.from({ length: 20 }, (_, at) => `l${at + 1}: &l${at + 1} [${`*l${at},`.repeat(9)}]`);
    expect(refusalOf(['l0: &l0 [x]', ...lists].join('\n')).message).toContain('alias');
  });
});
