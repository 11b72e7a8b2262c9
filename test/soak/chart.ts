// soak/chart.ts: draws the samples as a Vega-Lite specification, which peers/chart.mjs turns into a picture.
//
// Promises: pure. There is one row for each figure, and one line for each process, so a restart shows as a gap.
import { FIGURE_NAMES, FIGURES, type Sample } from './samples.ts';

const COLORS = { range: ['#1b6ca8', '#d1495b'] };

export function chartOf(samples: readonly Sample[], subtitle: string): object {
  const values = samples.map((sample) => ({
    ...sample,
    minutes: sample.seconds / 60,
    process: `${sample.server} ${sample.life}`,
  }));
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    background: 'white',
    title: { text: 'A soak of xenonflare-mock: what each process holds', subtitle, anchor: 'start' },
    data: { values },
    vconcat: FIGURE_NAMES.map((figure, row) => ({
      width: 720,
      height: 120,
      mark: { type: 'line', strokeWidth: 1.2 },
      encoding: {
        x: {
          field: 'minutes',
          type: 'quantitative',
          title: row === FIGURE_NAMES.length - 1 ? 'minutes' : null,
        },
        y: { field: figure, type: 'quantitative', title: FIGURES[figure].title },
        color: { field: 'server', type: 'nominal', title: 'server', scale: COLORS },
        detail: { field: 'process' },
      },
    })),
  };
}
