// bench/compare/run.ts: measures everything that the goals need, run after run.
//
// Promises: all cells and other figures of a run are measured before the next run begins. A failure is reported and costs only
// its own figure; the other goals are still measured.
import { failedFigures, type Figures } from '../figures.ts';
import { Client } from '../sender/client.ts';
import { cellNamed, measureCell, type CellName } from './cells.ts';
import { CONTESTANTS } from './contestants.ts';
import { measureCrc } from './crc.ts';
import type { Goal, Measured, SpecialName } from './goals.ts';
import { measureGrowth } from './growth.ts';
import { measureLargeFile } from './large-file.ts';
import { measureMemory } from './memory.ts';
import { cellsInOrder, specialsOf } from './plan.ts';
import type { Scale } from './scale.ts';
import { measureStored, StoredFolders } from './stored.ts';
import { touchMemory } from './touch.ts';

export interface RunOptions {
  readonly goals: readonly Goal[];
  readonly runs: number;
  readonly scale: Scale;
  /** Called at each step. */
  readonly onStep: (text: string) => void;
  readonly onRun: (outcome: Outcome) => Promise<void>;
}

export interface Outcome {
  readonly measured: Measured;
  /** Sentences that say what failed and what was left out. */
  readonly problems: readonly string[];
  readonly absences: readonly string[];
}

type SpecialValues = Partial<Record<SpecialName, number>>;

interface SpecialMeasure {
  readonly title: string;
  readonly gives: readonly SpecialName[];
  readonly measure: () => Promise<SpecialValues> | SpecialValues;
}

export async function runAll(options: RunOptions): Promise<Outcome> {
  const running = new Running(options);
  try {
    await running.prepare();
    for (let run = 1; run <= options.runs; run += 1) {
      await running.run(run);
      await options.onRun(running.outcome);
    }
    return running.outcome;
  } finally {
    await running.close();
  }
}

class Running {
  readonly #options: RunOptions;
  readonly #client = new Client();
  readonly #cells = new Map<CellName, Figures[]>();
  readonly #specials = new Map<SpecialName, number[]>();
  readonly #problems: string[] = [];
  readonly #absences = new Set<string>();
  readonly #wanted: ReadonlySet<SpecialName>;
  #folders: StoredFolders | null = null;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#wanted = specialsOf(options.goals);
  }

  get outcome(): Outcome {
    return {
      measured: { cells: this.#cells, specials: this.#specials },
      problems: this.#problems,
      absences: [...this.#absences],
    };
  }

  async prepare(): Promise<void> {
    if (!this.#wanted.has('start-ms-many')) return;
    const { storedUploads } = this.#options.scale;
    this.#options.onStep(`making ${storedUploads} stored uploads`);
    this.#folders = await StoredFolders.make(storedUploads);
  }

  async run(run: number): Promise<void> {
    touchMemory(this.#options.scale.touchedBytes);
    for (const name of cellsInOrder(this.#options.goals, run)) await this.#cell(name, run);
    for (const each of this.#specialMeasures()) {
      if (each.gives.some((name) => this.#wanted.has(name))) await this.#special(each, run);
    }
  }

  async close(): Promise<void> {
    await this.#client.close();
    await this.#folders?.remove();
  }

  async #cell(name: CellName, run: number): Promise<void> {
    const cell = cellNamed(name);
    const { absence } = CONTESTANTS[cell.contestant];
    if (absence !== undefined) {
      this.#absences.add(absence);
      return;
    }
    const measured = measureCell(cell, this.#client, this.#options.scale.cells);
    const figures = await measured.catch((error: Error) => failedFigures(error.message));
    this.#cells.set(name, [...(this.#cells.get(name) ?? []), figures]);
    if (figures.problem !== null) this.#failed(`${name}: ${figures.problem}`);
    this.#said(run, name, shown(figures));
  }

  async #special({ title, gives, measure }: SpecialMeasure, run: number): Promise<void> {
    let values: SpecialValues = {};
    try {
      values = await measure();
    } catch (error) {
      this.#failed(`${title}: ${(error as Error).message}`);
    }
    for (const name of gives) {
      const value = values[name] ?? Number.NaN;
      this.#specials.set(name, [...(this.#specials.get(name) ?? []), value]);
    }
    this.#said(run, title, gives.map((name) => `${name} ${values[name]?.toFixed(2) ?? '-'}`).join(', '));
  }

  #specialMeasures(): SpecialMeasure[] {
    const { scale } = this.#options;
    const folders = this.#folders;
    return [
      { title: 'CRC-32', gives: ['crc32-cpu-per-gib'], measure: () => measureCrc(scale) },
      {
        title: 'growth of an upload',
        gives: ['chunk-cost-late-to-early'],
        measure: () => measureGrowth(this.#client, scale),
      },
      {
        title: 'stored uploads',
        gives: ['chunk-cost-many-to-few', 'first-chunk-cost-many-to-few', 'start-ms-many', 'start-ms-few'],
        measure: () => (folders === null ? {} : measureStored(this.#client, folders, scale)),
      },
      {
        title: 'memory',
        gives: ['rss-growth-fields-first', 'rss-growth-file-first'],
        measure: () => measureMemory(this.#client, scale),
      },
      {
        title: 'a large file',
        gives: ['last-chunk-to-median', 'finalise-ms'],
        measure: () => measureLargeFile(this.#client, scale),
      },
    ];
  }

  #failed(problem: string): void {
    this.#problems.push(problem);
    this.#options.onStep(`FAILED ${problem}`);
  }

  #said(run: number, name: string, text: string): void {
    this.#options.onStep(`run ${run} of ${this.#options.runs}: ${name}: ${text}`);
  }
}

function shown(figures: Figures): string {
  const { mibPerSecond, requestsPerSecond, serverCpuMsPerRequest, othersCpuPercent } = figures;
  const speed =
    mibPerSecond === null
      ? `${requestsPerSecond.toFixed(0)} req/s`
      : `${mibPerSecond.toFixed(0)} MiB/s, ${requestsPerSecond.toFixed(0)} req/s`;
  return `${speed}, ${serverCpuMsPerRequest?.toFixed(3) ?? '-'} CPU ms/req, others ${othersCpuPercent?.toFixed(0) ?? '-'} %`;
}
