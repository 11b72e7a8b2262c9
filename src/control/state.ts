// control/state.ts: what a namespace holds, out as JSON and in again; ready-made states by name; clearing.
//
// Promises: what was exported with its bytes, put in anywhere, gives the same answers to every client: the same chunks,
// entries, ids and instants. An import is refused before anything changes, or it leaves the namespace empty.
// Must not know: HTTP.
import { PUBLIC_NAMESPACE } from '../core/namespace.ts';
import { nullIfDamaged } from '../core/errors.ts';
import type { Entry } from '../media/entry.ts';
import type { StorageKey } from '../uploads/ports.ts';
import type { UploadState } from '../uploads/upload.ts';
import type { UploadRef } from '../uploads/uploads.ts';
import { StateExport, type ExportedState, type ExportOptions } from './state-export.ts';
import { fixtureState } from './state-fixtures.ts';
import { StateImport, type ImportOptions } from './state-import.ts';
import { parseImport } from './state-shapes.ts';

export interface StateOptions extends ExportOptions, ImportOptions {
  /** What is on its way late to this namespace never comes. */
  readonly dropLate: (namespace: string) => Promise<void>;
  /** How long an entry is pending before it is processing. */
  readonly pendingMs: number;
}

export class NamespaceStates {
  readonly #options: StateOptions;

  constructor(options: StateOptions) {
    this.#options = options;
  }

  /** @throws AppError `body_too_large` when there is more than fits into one JSON */
  export(namespace: string, isWithBytes: boolean): Promise<ExportedState> {
    return new StateExport(this.#options, namespace, isWithBytes).run();
  }

  /** Replaces the uploads and entries of the namespace. @throws AppError `invalid_request`; the refusals of a chunk */
  async import(namespace: string, json: unknown): Promise<{ uploads: number; media: number }> {
    const { clock, pendingMs } = this.#options;
    const wanted = parseImport(json);
    const now = clock.now(namespace);
    const state = 'fixture' in wanted ? fixtureState(wanted, { now, pendingMs }) : wanted;
    const work = new StateImport(this.#options, namespace, state);
    work.refuse();
    await this.#options.dropLate(namespace);
    await this.#clear(namespace);
    try {
      return await work.run();
    } catch (error) {
      await this.#clear(namespace);
      throw error;
    }
  }

  /** @param failures is told why one could not be removed; the others are. Resolves to how many are gone. */
  async clearUploads(namespace: string, failures: unknown[]): Promise<number> {
    const { uploads } = this.#options;
    const removals: (() => Promise<boolean>)[] = [];
    const damaged = (_error: unknown, place: StorageKey): unknown =>
      removals.push(() => uploads.removeAt(place));
    let count = 0;
    for await (const { namespace: own, state } of uploads.list(namespace, damaged)) {
      if (await orFailed(uploads.remove(refOf(own, state.fileId)), failures)) count += 1;
    }
    for (const remove of removals) if (await orFailed(remove(), failures)) count += 1;
    return count;
  }

  /** As `clearUploads`. */
  async clearMedia(namespace: string, failures: unknown[]): Promise<number> {
    const { media } = this.#options;
    const damaged: StorageKey[] = [];
    let count = 0;
    for await (const { entry } of media.list(namespace, (_error, place) => damaged.push(place)))
      if (await orFailed(this.#clearEntry(entry), failures)) count += 1;
    for (const place of damaged) {
      const removing = media.remove(place.namespace, place.name).then(() => true);
      if (await orFailed(removing, failures)) count += 1;
    }
    return count;
  }

  async #clearEntry(entry: Entry): Promise<true> {
    await this.#clearUploadOf(entry);
    await this.#options.media.remove(entry.namespace, entry.id);
    return true;
  }

  /** The upload that it was made of goes with it: it would promise an entry that is not there. */
  async #clearUploadOf({ id, namespace, spec: { fileId } }: Entry): Promise<void> {
    const { uploads } = this.#options;
    if (fileId === undefined) return;
    const isOfEntry = (upload: Pick<UploadState, 'finalization'> | null): boolean =>
      upload?.finalization?.mediaId === id && upload.finalization.namespace === namespace;
    for (const holder of [namespace, PUBLIC_NAMESPACE]) {
      const ref = refOf(holder, fileId);
      if (isOfEntry(await uploads.content(ref).catch(nullIfDamaged))) await uploads.remove(ref, isOfEntry);
    }
  }

  async #clear(namespace: string): Promise<void> {
    const failures: unknown[] = [];
    await this.clearUploads(namespace, failures);
    await this.clearMedia(namespace, failures);
    if (failures.length > 0) throw failures[0];
  }
}

/** What one of many came to; false when it failed, which must not keep the others from being done (rule D5). */
async function orFailed(work: Promise<boolean>, failures: unknown[]): Promise<boolean> {
  try {
    return await work;
  } catch (error) {
    failures.push(error);
    return false;
  }
}

function refOf(namespace: string, fileId: string): UploadRef {
  return { caller: { namespace, fallback: null }, fileId };
}
