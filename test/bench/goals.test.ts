import { describe, expect, it } from 'vitest';
import { GOALS, verdictOn, type Goal, type Measured, type SpecialName } from '../../bench/compare/goals.ts';
import type { CellName } from '../../bench/compare/cells.ts';
import { cellsInOrder } from '../../bench/compare/plan.ts';
import { failedFigures, type Figures } from '../../bench/figures.ts';

function figures(some: Partial<Figures>): Figures {
  return { ...failedFigures(''), errors: 0, problem: null, ...some };
}

function goalOf(measure: string): Goal {
  const goal = GOALS.find((each) => each.measure === measure);
  if (goal === undefined) throw new Error(`no goal ${measure}`);
  return goal;
}

function measured(
  cells: Partial<Record<CellName, Figures[]>>,
  specials: Partial<Record<SpecialName, number[]>> = {},
): Measured {
  return {
    cells: new Map(Object.entries(cells) as [CellName, Figures[]][]),
    specials: new Map(Object.entries(specials) as [SpecialName, number[]][]),
  };
}

const FLOOR = 'server CPU per GiB vs a bare Node pipe: 8 MiB, 1 connection, journal on';
const cpu = (...seconds: number[]): Figures[] =>
  seconds.map((serverCpuSecondsPerGib) => figures({ serverCpuSecondsPerGib }));

describe('a verdict', () => {
  it('is on the median of the ratios of each run, not on the ratio of the medians', () => {
    // A machine that gets slower and slower: both sides do, the ratios stay.
    const found = verdictOn(
      goalOf(FLOOR),
      measured({ 'ours-8m-c1': cpu(1.2, 2.4, 3.6), 'pipe-8m-c1': cpu(1, 2, 3) }),
    );
    expect(found.median).toBeCloseTo(1.2);
    expect(found).toMatchObject({ runs: 3, isReached: true });
  });

  it('says no just beyond the bound, and yes at it', () => {
    const at = (ours: number): boolean | null =>
      verdictOn(goalOf(FLOOR), measured({ 'ours-8m-c1': cpu(ours), 'pipe-8m-c1': cpu(1) })).isReached;
    expect([at(1.25), at(1.2501)]).toEqual([true, false]);
  });

  it('takes what the CRC-32 cost in the same run off our side only', () => {
    const without = verdictOn(
      goalOf(`${FLOOR}, without the CRC-32`),
      measured({ 'ours-8m-c1': cpu(1.4, 2.8), 'pipe-8m-c1': cpu(1, 2) }, { 'crc32-cpu-per-gib': [0.2, 0.4] }),
    );
    expect(without.median).toBeCloseTo(1.2);
  });

  it('is neither yes nor no when a run failed, or nothing was measured', () => {
    const failed = [...cpu(1), failedFigures('refused')];
    const cells = { 'ours-8m-c1': failed, 'pipe-8m-c1': cpu(1, 1) };
    expect(verdictOn(goalOf(FLOOR), measured(cells))).toMatchObject({ median: null, isReached: null });
    expect(verdictOn(goalOf(FLOOR), measured({}))).toMatchObject({ median: null, isReached: null, runs: 0 });
    const special = verdictOn(goalOf('5 GiB: finalise'), measured({}, { 'finalise-ms': [3, Number.NaN] }));
    expect(special.isReached).toBeNull();
  });

  it('of a peer wants more than a draw', () => {
    const goal = goalOf('throughput vs @tus/server: 8 MiB, 16 connections');
    const same = [figures({ mibPerSecond: 500 })];
    const cells = { 'ours-8m-c16': same, 'tus-8m-c16': same };
    expect(verdictOn(goal, measured(cells))).toMatchObject({ median: 1, isReached: false });
  });
});

describe('the order of a run', () => {
  it('has what is compared side by side, each cell once, and another one first each time', () => {
    const goals = GOALS.filter(({ name }) => name === 'raw-peers');
    const first = cellsInOrder(goals, 1);
    expect(new Set(first).size).toBe(first.length);
    expect(first.slice(0, 3)).toEqual(['ours-1m-c1', 'tus-1m-c1', 'uploadx-1m-c1']);
    expect(cellsInOrder(goals, 2).slice(0, 3)).toEqual(['tus-1m-c1', 'uploadx-1m-c1', 'ours-1m-c1']);
    expect(cellsInOrder(goals, 4)).toEqual(first);
  });

  it('has every cell that a goal is worked out of', () => {
    const all = new Set(cellsInOrder(GOALS, 1));
    for (const { cells } of GOALS) for (const cell of cells) expect(all).toContain(cell);
  });
});
