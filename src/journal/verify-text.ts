// journal/verify-text.ts: a verdict as text for a person who reads a test's output (`Accept: text/plain`).
//
// Promises: says everything that the JSON says, except its structure; ends with a line feed.
import { describeMatcher } from './matcher.ts';
import type { NearMiss } from './near-misses.ts';
import { boundsOf, type Failure, type Verdict } from './verify.ts';

export function asText(verdict: Verdict): string {
  if (verdict.pass) return 'PASS\n';
  const { failures } = verdict;
  const checks = `${failures.length} ${failures.length === 1 ? 'check' : 'checks'}`;
  const title =
    verdict.inconclusive === true
      ? `INCONCLUSIVE: ${checks} cannot be decided, ${evictedOf(verdict.evicted)}`
      : `FAIL: ${checks} failed`;
  return `${[title, ...failures.map(paragraph)].join('\n\n')}\n`;
}

function evictedOf(evicted = 0): string {
  return `since ${evicted} exchanges are not on record any more; clear the journal before, or raise --journal-entries and --journal-bytes`;
}

function paragraph(failure: Failure): string {
  const { kind, pointer, nearMisses, hints = [], inconclusive } = failure;
  const isUnwanted = nearMisses.some(({ differs }) => differs.length === 0);
  const heading = isUnwanted ? 'these:' : 'nearest:';
  const lines = [
    `${kind} ${pointer}${inconclusive === true ? ' (inconclusive)' : ''}`,
    `  expected: ${expectedOf(failure)}`,
    `  actual: ${actualOf(failure)}`,
  ];
  if (nearMisses.length > 0) lines.push(`  ${heading}`, ...nearMisses.map(lineOf));
  return [...lines, ...hints.map(hintLine)].join('\n');
}

export function hintLine(hint: string): string {
  return `  hint: ${hint}`;
}

/** A near miss, and why it does not fit. */
export function lineOf({ exchange, differs }: NearMiss): string {
  const why = differs.map(
    ({ field, expected, actual }) => `${field} is ${actual ?? 'none'}, not ${expected}`,
  );
  return why.length === 0 ? `    ${exchange}` : `    ${exchange}\n      but ${why.join('; ')}`;
}

function expectedOf(failure: Failure): string {
  switch (failure.kind) {
    case 'expect':
      return `${describeMatcher(failure.expected.match)}: ${timesOf(failure.expected)}`;
    case 'sequence':
      return `${describeMatcher(failure.expected.match)}${afterOf(failure.expected.afterSeq)}`;
    case 'never': {
      const { never } = failure.expected;
      return `never: ${typeof never === 'string' ? never : describeMatcher(never)}`;
    }
    case 'unfiredRule': {
      const { ruleId, namespace, explain } = failure.expected;
      const whose = namespace === undefined ? '' : ` of ${namespace}`;
      return `rule ${ruleId}${whose} fires${explain === undefined ? '' : `: ${explain}`}`;
    }
  }
}

function afterOf(seq: number): string {
  return seq === 0 ? '' : `, after #${seq}`;
}

function timesOf(expectation: Parameters<typeof boundsOf>[0]): string {
  const { min, max } = boundsOf(expectation);
  if (min === max) return `${min} times`;
  if (max === Infinity) return `at least ${min} times`;
  return min === 0 ? `at most ${max} times` : `${min} to ${max} times`;
}

function actualOf(failure: Failure): string {
  switch (failure.kind) {
    case 'expect':
    case 'never':
      return `${failure.actual.count} times${seqsOf(failure.actual.seqs)}`;
    case 'sequence':
      return failure.actual.seqs.length === 0
        ? 'it never came'
        : `it did not come after the steps before it${seqsOf(failure.actual.seqs)}`;
    case 'unfiredRule':
      return 'it never fired';
  }
}

function seqsOf(seqs: readonly number[]): string {
  return seqs.length === 0 ? '' : ` (${seqs.map((seq) => `#${seq}`).join(', ')})`;
}
