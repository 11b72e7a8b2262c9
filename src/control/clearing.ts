// control/clearing.ts: removes what a namespace holds: for a reset, and before and after an import.
//
// Promises: everything that cannot be removed or listed is reported, and does not stop the rest (rule D5). An upload is removed
// before the entry that was made of it. In the other order, an upload could be left whose entry is missing, and it would make
// the entry anew.
// Must not know: HTTP.
import { AppError, InDoubt, isDamage } from '../core/errors.ts';
import { ALL_NAMESPACES, PUBLIC_NAMESPACE } from '../core/namespace.ts';
import type { Entry } from '../media/entry.ts';
import type { Media } from '../media/media.ts';
import type { StorageKey } from '../uploads/ports.ts';
import type { UploadState } from '../uploads/upload.ts';
import type { UploadRef } from '../uploads/finalized.ts';
import type { Uploads } from '../uploads/uploads.ts';

export interface ClearingOptions {
  readonly uploads: Uploads;
  readonly media: Media;
}

type MadeOf = Pick<UploadState, 'finalization'>;

export class Clearing {
  readonly #options: ClearingOptions;

  constructor(options: ClearingOptions) {
    this.#options = options;
  }

  /** @param failures gets the reason for each item that may still be there. Resolves to the number of removed items. */
  async uploads(namespace: string, failures: unknown[]): Promise<number> {
    const { uploads } = this.#options;
    const work = new Work(failures);
    const damaged: StorageKey[] = [];
    await work.attempt(async () => {
      for await (const { namespace: own, state } of uploads.list(namespace, unlisted(damaged, failures)))
        await work.remove(() => uploads.remove(refOf(own, state.fileId)));
    });
    for (const place of damaged) await work.remove(() => uploads.removeAt(place));
    return work.removed;
  }

  /** @param failures as for `uploads`. Resolves to the number of removed items. */
  async media(namespace: string, failures: unknown[]): Promise<number> {
    const { media } = this.#options;
    const work = new Work(failures);
    const damaged: StorageKey[] = [];
    await work.attempt(async () => {
      for await (const { entry } of media.list(namespace, unlisted(damaged, failures)))
        await work.remove(() => this.#entry(entry));
    });
    if (damaged.length > 0) await work.attempt(() => this.#damagedEntries(namespace, damaged, work));
    return work.removed;
  }

  /** Resolves to the reasons why items may still be there. An empty list: the namespace is empty. */
  async all(namespace: string): Promise<readonly unknown[]> {
    const failures: unknown[] = [];
    await this.uploads(namespace, failures);
    await this.media(namespace, failures);
    return failures;
  }

  async #entry({ id, namespace, spec: { fileId } }: Entry): Promise<boolean> {
    const isOfEntry = (upload: MadeOf | null): boolean => idOf(upload) === keyOf(namespace, id);
    if (fileId !== undefined)
      for (const holder of [namespace, PUBLIC_NAMESPACE])
        await this.#upload(refOf(holder, fileId), isOfEntry);
    await this.#options.media.remove(namespace, id);
    return true;
  }

  async #upload(ref: UploadRef, isMeant: (upload: MadeOf | null) => boolean): Promise<void> {
    const { uploads } = this.#options;
    const found = await uploads.content(ref).catch((error: unknown) => {
      // A damaged ledger stays damaged and names no entry. A ledger that the system could not read may be readable later.
      if (isDamage(error) && !isUnreadable(error)) return null;
      throw error;
    });
    if (isMeant(found)) await uploads.remove(ref, isMeant);
  }

  /** Removes damaged entries. A damaged entry cannot say of which upload it was made, so the uploads are asked. */
  async #damagedEntries(namespace: string, damaged: readonly StorageKey[], work: Work): Promise<void> {
    const { uploads, media } = this.#options;
    const makers = new Map<string, UploadRef>();
    const holders = namespace === ALL_NAMESPACES ? [ALL_NAMESPACES] : new Set([namespace, PUBLIC_NAMESPACE]);
    const refuseUnreadable = (error: AppError): void => {
      if (isUnreadable(error)) throw error;
    };
    for (const holder of holders)
      for await (const { namespace: own, state } of uploads.list(holder, refuseUnreadable))
        makers.set(idOf(state) ?? '', refOf(own, state.fileId));
    for (const { namespace: own, name } of damaged) {
      const key = keyOf(own, name);
      const maker = makers.get(key);
      await work.remove(async () => {
        if (maker !== undefined) await uploads.remove(maker, (upload) => idOf(upload) === key);
        await media.remove(own, name);
        return true;
      });
    }
  }
}

/** A failure of one item must not stop the other items (rule D5). */
class Work {
  readonly #failures: unknown[];
  removed = 0;

  constructor(failures: unknown[]) {
    this.#failures = failures;
  }

  /** @param work resolves to true if it removed something */
  remove(work: () => Promise<boolean>): Promise<void> {
    return this.attempt(async () => {
      if (await work()) this.removed += 1;
    });
  }

  async attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#failures.push(error);
    }
  }
}

/** The listing skips damaged items. They are removed by their storage key; without a known storage key, they stay. */
function unlisted(
  places: StorageKey[],
  failures: unknown[],
): (error: AppError, place: StorageKey | null) => unknown {
  return (error, place) => (place === null ? failures.push(error) : places.push(place));
}

function isUnreadable({ details }: AppError): boolean {
  return details['problem'] === 'unreadable';
}

function idOf(upload: MadeOf | null): string | null {
  const finalization = upload?.finalization ?? null;
  return finalization === null ? null : keyOf(finalization.namespace, finalization.mediaId);
}

function keyOf(namespace: string, id: string): string {
  return `${namespace}/${id}`;
}

function refOf(namespace: string, fileId: string): UploadRef {
  return { caller: { namespace, fallback: null }, fileId };
}

const MAX_NAMED_FAILURES = 20;

const WHY: Readonly<Partial<Record<AppError['code'], string>>> = {
  insufficient_storage: 'there is no room to do it',
  storage_unavailable: 'the storage of the server cannot be used right now',
};

interface Stayed {
  readonly code: AppError['code'];
  /** The cause, for the log. */
  readonly cause: unknown;
  readonly what: string;
  readonly failed: readonly object[];
}

/** An error that is not about a single upload or entry goes first, because it has another cause. */
function stayed(failures: readonly unknown[]): Stayed {
  const damages = failures.filter((error) => isDamage(error));
  const cause = failures.find((error) => !isDamage(error)) ?? damages[0];
  const code = cause instanceof AppError ? cause.code : 'internal_error';
  const told = isDamage(cause) ? cause.message : (WHY[code] ?? 'the server failed; its log has the reason');
  const failed = damages.slice(0, MAX_NAMED_FAILURES).map(({ message, details }) => {
    const { kind, namespace, name } = details;
    return { kind, namespace, name, message };
  });
  return { code, cause, what: `${failures.length} could not be removed (${told})`, failed };
}

/** The refusal of a reset that may have left items behind. */
export function notAllReset(reset: Readonly<Record<string, number>>, failures: readonly unknown[]): AppError {
  const { code, cause, what, failed } = stayed(failures);
  const refusal = new AppError(code, `${what}; everything else is reset`, { reset, failed });
  return Object.assign(refusal, { cause });
}

/** The refusal of an import whose namespace could not be emptied before it or after its failure. */
export function notEmptied(failures: readonly unknown[], when: 'before' | 'after'): InDoubt {
  const { code, cause, what, failed } = stayed(failures);
  const held =
    when === 'before'
      ? 'the server could not empty the namespace, and imported nothing; some of the old content may remain'
      : 'the import failed, and the server could not remove all imported content; some of it may remain';
  const message = `${held}: ${what}; reset the namespace, or send the import again`;
  return Object.assign(new InDoubt(code, message, { failed }), { cause });
}
