// acknowledged.test.ts: an exchange that overlapped an acknowledgement, or was noticed late, is innocent; one that came after it is
// not. verify.test.ts has the rest of what "acknowledged chunk re-sent" means.
import { describe, expect, it } from 'vitest';
import { acknowledgedResent } from '../../src/journal/acknowledged.ts';
import type { Exchange, ExchangeDraft } from '../../src/journal/exchange.ts';
import { chunk, exchange, lostAnswer, statusQuery } from './drafts.ts';

/** In order of `seq`: an exchange that began as number `begun`, and was over when `endedAfter` had begun. */
type Happened = readonly [begun: number, endedAfter: number | null, what: ExchangeDraft];

const uploadOf = (chunkIndex: number): ExchangeDraft['upload'] => ({ fileId: 'f', chunkIndex, attempt: 1 });
const again = (chunkIndex: number): ExchangeDraft => chunk(chunkIndex, { committed: null });
/** Stored, and its answer never came. */
const lost = (chunkIndex: number): ExchangeDraft => ({
  ...chunk(chunkIndex),
  ...lostAnswer({ upload: uploadOf(chunkIndex), committed: { offset: 100 * chunkIndex, bytes: 100 } }),
});
/** Nothing of it was stored, and its client left. */
const stalled = (chunkIndex: number): ExchangeDraft =>
  chunk(chunkIndex, { committed: null, response: null, outcome: 'client-aborted' });
const told = (currentSize: number): ExchangeDraft => statusQuery({ told: { exists: true, currentSize } });
const gone = statusQuery({ told: { exists: false, currentSize: 0 } });
const beyondGap = (chunkIndex: number): ExchangeDraft =>
  chunk(chunkIndex, { committed: { offset: null, bytes: 100 } });

function accused(...happened: readonly Happened[]): number[] {
  const exchanges: Exchange[] = happened.map(([begun, endedAfter, what], index) =>
    exchange(index + 1, { ...what, begun, endedAfter }),
  );
  return acknowledgedResent(exchanges).map(({ begun }) => begun);
}

describe('is innocent (§11.10)', () => {
  it.each<[string, Happened[]]>([
    [
      'what stalled before the second attempt was acknowledged, and was noticed after it',
      [
        [2, 2, chunk(0)],
        [1, 2, stalled(0)],
      ],
    ],
    [
      'the other one of two that were in flight at once',
      [
        [1, 2, chunk(0)],
        [2, 2, again(0)],
      ],
    ],
    [
      'the other one of two, however late it ended',
      [
        [1, 2, chunk(0)],
        [2, 9, again(0)],
      ],
    ],
    [
      'what came while the acknowledgement was still being sent',
      [
        [1, null, chunk(0)],
        [2, 2, again(0)],
      ],
    ],
    [
      'what began before the status that tells of it was sent whole',
      [
        [1, 1, lost(0)],
        [2, 3, told(100)],
        [3, 3, again(0)],
      ],
    ],
    [
      'what a status that overlapped the 2xx had less of',
      [
        [1, 1, chunk(0)],
        [2, 3, chunk(1)],
        [3, 3, told(100)],
        [4, 4, again(1)],
      ],
    ],
    [
      'what a status may have had less of, where the commit is not on record any more',
      [
        [1, 1, again(2)],
        [2, 2, told(200)],
        [3, 3, again(2)],
      ],
    ],
    [
      'what was told to be gone while it was acknowledged',
      [
        [1, 2, chunk(0)],
        [2, 2, gone],
        [3, 3, again(0)],
      ],
    ],
    [
      'what is of an upload that was begun anew by an exchange that ended late',
      [
        [1, 1, chunk(0)],
        [2, 2, chunk(1)],
        [4, 4, again(1)],
        [3, 5, lost(0)],
      ],
    ],
    [
      'what a status had less of, where the commit was put on record late',
      [
        [1, 1, chunk(0)],
        [3, 3, told(200)],
        [4, 4, told(100)],
        [5, 5, again(1)],
        [2, 5, lost(1)],
      ],
    ],
  ])('%s', (_, happened) => {
    expect(accused(...happened)).toEqual([]);
  });
});

describe('is accused (§11.10)', () => {
  it.each<[string, Happened[], number[]]>([
    [
      'what began after the 2xx was sent whole',
      [
        [1, 1, chunk(0)],
        [2, 2, again(0)],
      ],
      [2],
    ],
    [
      'all that began after it, and none before',
      [
        [1, 3, stalled(0)],
        [2, 2, chunk(0)],
        [3, 3, again(0)],
        [4, 4, again(0)],
      ],
      [3, 4],
    ],
    [
      'what a status told, although the commit was put on record after it',
      [
        [2, 2, told(100)],
        [3, 3, again(0)],
        [1, 3, lost(0)],
      ],
      [3],
    ],
    [
      'what was told to be gone only later',
      [
        [1, 1, chunk(0)],
        [2, 3, again(0)],
        [3, 3, gone],
      ],
      [2],
    ],
    [
      'what was told to be gone before it was stored',
      [
        [1, 1, gone],
        [2, 2, chunk(0)],
        [3, 3, again(0)],
      ],
      [3],
    ],
    [
      'what lay beyond a gap when a status had less',
      [
        [1, 1, beyondGap(1)],
        [2, 2, told(0)],
        [3, 3, again(1)],
        [4, 4, chunk(0)],
      ],
      [3],
    ],
    [
      'what was stored anew, acknowledged, and sent again',
      [
        [1, 1, chunk(0)],
        [2, 2, chunk(0)],
        [3, 3, again(0)],
      ],
      [3],
    ],
    [
      'what began after a slow status, where a quick one had told before',
      [
        [1, 1, lost(0)],
        [2, 4, told(100)],
        [3, 3, told(100)],
        [4, 4, again(0)],
      ],
      [4],
    ],
  ])('%s', (_, happened, begun) => {
    expect(accused(...happened)).toEqual(begun);
  });
});

it('takes no longer where every chunk was sent again after a status that had less', () => {
  const happened = Array.from({ length: 10_000 }, (_, index): Happened[] => [
    [3 * index + 1, 3 * index + 1, lost(index)],
    [3 * index + 2, 3 * index + 2, told(100 * index)],
    [3 * index + 3, 3 * index + 3, again(index)],
  ]).flat();
  const begun = process.cpuUsage();
  expect(accused(...happened)).toEqual([]);
  // It measures work, not time: code that looks at each of the others again would do many times as much.
  expect(process.cpuUsage(begun).user / 1000).toBeLessThan(2_000);
});
