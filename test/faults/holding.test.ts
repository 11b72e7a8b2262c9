// holding.test.ts: how long a fault has held its exchange up, in whole milliseconds.
import { beforeEach, expect, it, vi } from 'vitest';
import { Holding } from '../../src/faults/holding.ts';
import type { Claim } from '../../src/faults/rule-armed.ts';

const machine = vi.hoisted(() => ({ nowMs: 0 }));

vi.mock('../../src/core/machine-time.ts', async (original) => ({
  ...(await original<object>()),
  monotonicMs: () => machine.nowMs,
}));

const STALL = {
  rule: { id: 'r' },
  fault: { phase: { name: 'headers' }, effect: 'stall' },
} as unknown as Claim;

beforeEach(() => {
  machine.nowMs = 0;
});

it('a fault holds its exchange for no longer than it has waited', async () => {
  const holding = new Holding(STALL);
  expect(holding.now()).toBeNull();
  let end = (): void => undefined;
  const held = holding.during(new Promise<void>((resolve) => (end = resolve)));
  for (const [nowMs, sinceMs] of [
    [0.9, 0],
    [29.9, 29],
    [30, 30],
  ] as const) {
    machine.nowMs = nowMs;
    expect(holding.now()).toEqual({ ruleId: 'r', phase: 'headers', effect: 'stall', sinceMs });
  }
  end();
  await held;
  expect(holding.now()).toBeNull();
});
