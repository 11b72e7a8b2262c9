// report.test.ts: what a bench beside its peers leaves behind.
import { expect, it } from 'vitest';
import { jsonOf } from '../../bench/compare/report.ts';
import { figuresOf, type Figures } from '../../bench/figures.ts';

function run(seconds: number): Figures {
  const load = { requests: 300, bytesPerRequest: 1024 ** 2, seconds, p50Ms: seconds, p99Ms: 2 * seconds };
  return figuresOf({ ...load, clientCpuSeconds: 1, errors: 0, problem: null }, null, null);
}

it('a result keeps the medians of a cell, its errors and how many runs there were, on one line', () => {
  const disk = { syncedMiBPerSecond: 1, syncedLineMs: 1 };
  const machine = { node: 'v0', system: 's', cpu: 'c', cores: 2, loadAverage: 0, filesystem: 'f', disk };
  const text = jsonOf({
    conditions: { date: '2000-01-01', durability: 'none', ...machine },
    method: 'm',
    verdicts: [],
    outcome: {
      measured: {
        cells: new Map([['ours-1m-c1', [run(3), run(1), run(2)]]]),
        specials: new Map([['finalise-ms', [3, 1.23456, 1]]]),
      },
      problems: ['p'],
      absences: [],
    },
  });
  const line = text.split('\n').find((each) => each.includes('ours-1m-c1')) ?? '';
  expect(JSON.parse(`{${line}}`)).toMatchObject({
    'ours-1m-c1': { seconds: 2, p50Ms: 2, mibPerSecond: 150, peakRssMib: null, errors: 0, runs: 3 },
  });
  expect(JSON.parse(text)).toMatchObject({
    specials: { 'finalise-ms': 1.235 },
    problems: ['p'],
    verdicts: [],
  });
});
