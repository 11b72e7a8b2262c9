// bench/compare/chart.ts: turns the figures into a Vega-Lite specification, which peers/chart.mjs draws.
//
// Promises: pure. The chart shows only medians, the same loads for every server, and client and server separately.
import { median, type Figures } from '../figures.ts';
import { cellNamed, type CellName } from './cells.ts';

interface Bar {
  readonly who: string;
  readonly load: string;
  readonly isOurs: boolean;
  readonly mibPerSecond: number;
  /** CPU seconds per GiB. */
  readonly server: number;
  readonly client: number;
}

/** The loads of the chart, in order: the loads under which every server was measured. */
const LOADS: readonly { readonly suffix: string; readonly title: string }[] = [
  { suffix: '64k-c16', title: '64 KiB, 16 connections' },
  { suffix: '8m-c1', title: '8 MiB, 1 connection' },
  { suffix: '8m-c16', title: '8 MiB, 16 connections' },
];

const TITLES: Readonly<Record<string, string>> = {
  ours: 'xenonflare-mock',
  'ours-file-first': 'xenonflare-mock, file first',
  'ours-no-journal': 'xenonflare-mock, no journal',
  'ours-fsync': 'xenonflare-mock, fsync',
  pipe: 'node:http, pipe (raw)',
  'same-work': 'node:http, our work on the bytes (raw)',
  nginx: 'nginx PUT (raw)',
  'nginx-tuned': 'nginx PUT, 1 MiB buffer (raw)',
  'fastify-multipart': '@fastify/multipart',
  multer: 'multer on express',
  formidable: 'formidable',
  tus: '@tus/server (raw)',
  uploadx: '@uploadx/core (raw)',
};

const ORDER = Object.values(TITLES);
const OURS = '#1b6ca8';
const THEIRS = '#b0b7bf';
const CLIENT = '#e2c275';

/** Null: none of the chart's loads was measured. */
export function chartOf(cells: ReadonlyMap<CellName, readonly Figures[]>, subtitle: string): object | null {
  const bars = [...cells].flatMap(([name, runs]) => barOf(name, runs));
  const loads = LOADS.filter(({ title }) => bars.some(({ load }) => load === title));
  if (loads.length === 0) return null;
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    background: 'white',
    title: { text: 'Storing chunks: xenonflare-mock and its peers', subtitle, anchor: 'start' },
    data: { values: bars },
    vconcat: loads.map(({ title }) => ({
      hconcat: [speedPanel(title), cpuPanel(title)],
      resolve: { scale: { color: 'independent' } },
    })),
    resolve: { scale: { color: 'independent' } },
  };
}

function rowsOf(load: string): object {
  return {
    transform: [{ filter: { field: 'load', equal: load } }],
    width: 300,
    height: { step: 18 },
    mark: 'bar',
  };
}

function speedPanel(load: string): object {
  const y = { field: 'who', type: 'nominal', sort: ORDER, title: null, axis: { labelLimit: 0 } };
  return {
    ...rowsOf(load),
    title: { text: load, anchor: 'start' },
    encoding: {
      y,
      x: { field: 'mibPerSecond', type: 'quantitative', title: 'MiB/s (more is better)' },
      color: {
        field: 'isOurs',
        type: 'nominal',
        scale: { domain: [true, false], range: [OURS, THEIRS] },
        legend: null,
      },
    },
  };
}

function cpuPanel(load: string): object {
  const panel = rowsOf(load) as { transform: object[] };
  return {
    ...panel,
    transform: [
      ...panel.transform,
      { fold: ['server', 'client'], as: ['side', 'seconds'] },
      { calculate: "datum.side === 'server' ? 0 : 1", as: 'rank' },
    ],
    title: { text: ' ' },
    encoding: {
      y: { field: 'who', type: 'nominal', sort: ORDER, title: null, axis: { labels: false } },
      x: { field: 'seconds', type: 'quantitative', title: 'CPU seconds per GiB (less is better)' },
      color: {
        field: 'side',
        type: 'nominal',
        title: null,
        scale: { domain: ['server', 'client'], range: [OURS, CLIENT] },
      },
      order: { field: 'rank' },
    },
  };
}

function barOf(name: CellName, runs: readonly Figures[]): Bar[] {
  const { contestant } = cellNamed(name);
  const load = LOADS.find(({ suffix }) => name === `${contestant}-${suffix}`);
  const who = TITLES[contestant];
  const mibPerSecond = median(runs.map((run) => run.mibPerSecond));
  const server = median(runs.map((run) => run.serverCpuSecondsPerGib));
  const client = median(runs.map((run) => run.clientCpuSecondsPerGib));
  if (load === undefined || who === undefined) return [];
  if (mibPerSecond === null || server === null || client === null) return [];
  const isOurs = contestant.startsWith('ours');
  return [{ who, load: load.title, isOurs, mibPerSecond, server, client }];
}
