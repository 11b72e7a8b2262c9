// control/state.ts: exports and imports the contents of a namespace as JSON, with ready-made states by name.
//
// Promises: a state that was exported with its bytes and is imported anywhere gives the same answers to every client: the same
// chunks, entries, ids and instants. An import either is refused before anything changes, or leaves the namespace empty after a
// failure, or reports that it could not empty the namespace.
// Must not know: HTTP.
import { AppError, InDoubt } from '../core/errors.ts';
import { Clearing, notEmptied } from './clearing.ts';
import { StateExport, type ExportedState, type ExportOptions } from './state-export.ts';
import { fixtureState } from './state-fixtures.ts';
import { StateImport, type ImportOptions } from './state-import.ts';
import { parseImport } from './state-shapes.ts';

export interface StateOptions extends ExportOptions, ImportOptions {
  /** Drops the pending late commits of the namespace. */
  readonly dropLate: (namespace: string) => Promise<void>;
  /** How long an entry is pending before it is processing. */
  readonly pendingTimeMs: number;
}

export class NamespaceStates {
  readonly clearing: Clearing;
  readonly #options: StateOptions;

  constructor(options: StateOptions) {
    this.clearing = new Clearing(options);
    this.#options = options;
  }

  /** @throws AppError `body_too_large` when the state does not fit into one JSON text */
  export(namespace: string, isWithBytes: boolean): Promise<ExportedState> {
    return new StateExport(this.#options, namespace, isWithBytes).run();
  }

  /** Replaces the uploads and entries of the namespace. @throws AppError `invalid_request`; the refusals of a chunk */
  async import(namespace: string, json: unknown): Promise<{ uploads: number; media: number }> {
    const { clock, pendingTimeMs } = this.#options;
    const wanted = parseImport(json);
    const now = clock.now(namespace);
    const state = 'fixture' in wanted ? fixtureState(wanted, { now, pendingTimeMs }) : wanted;
    const work = new StateImport(this.#options, namespace, state);
    work.refuse();
    await this.#options.dropLate(namespace);
    await this.#empty(namespace, 'before');
    try {
      return await work.run();
    } catch (error) {
      await this.#empty(namespace, 'after');
      throw error instanceof InDoubt ? nothingPutIn(error) : error;
    }
  }

  async #empty(namespace: string, when: 'before' | 'after'): Promise<void> {
    const failures = await this.clearing.all(namespace);
    if (failures.length > 0) throw notEmptied(failures, when);
  }
}

/** The doubt is settled: what it left has been removed. */
function nothingPutIn(doubt: InDoubt): AppError {
  const message = 'the import failed, and the namespace is empty; send it again';
  return Object.assign(new AppError(doubt.code, message, doubt.details), { cause: doubt });
}
