// control/scrubs.ts: reads all stored bytes of one namespace, or of all namespaces, in the background and reports damage (rule
// D5).
//
// Promises: each namespace has at most one scrub at a time. A scrub reads at most 4 MiB in 25 ms, however fast the disk is, so
// that clients do not wait for it. Damage does not stop the scrub. `close` ends all scrubs.
// Must not know: HTTP, how a content is verified.
import { AppError, isDamage } from '../core/errors.ts';
import { Stopped, type Verified } from '../integrity/content-verifier.ts';
import type { DamageBook } from '../integrity/damage-book.ts';
import { contentDamage, type DamagedChunk } from '../integrity/stored-content.ts';
import { clearTimeout, setTimeout, wallMs } from '../core/machine-time.ts';
import type { Media } from '../media/media.ts';
import { placeOf } from '../uploads/storage-key.ts';
import type { StorageKey } from '../uploads/ports.ts';
import type { Uploads } from '../uploads/uploads.ts';
import { damagedView, type Damaged } from './damaged-view.ts';
import type { NamespaceQueries } from './namespace-queries.ts';

const PAUSE_AFTER_BYTES = 4 * 1024 * 1024;
const PAUSE_MS = 25;
/** The cost of each upload or entry besides its bytes. Many small ones must load the disk no more than a few large ones. */
const BYTES_PER_PLACE = 64 * 1024;
const MAX_FINDINGS = 100;
/** The number of ended scrubs that can still be asked for. */
const MAX_ENDED = 100;

export interface ScrubFinding extends Damaged {
  /** Present if the damaged item is an upload whose ledger can be read. */
  readonly fileId?: string;
  /** The first hundred damaged chunks; absent when not even the ledger can be read. */
  readonly chunks?: readonly DamagedChunk[];
}

export interface ScrubView {
  readonly namespace: string;
  readonly state: 'running' | 'done' | 'cancelled' | 'failed';
  readonly startedAt: string;
  readonly endedAt: string | null;
  /** The uploads checked so far. The bytes of a finalised upload are in its entry. */
  readonly uploads: number;
  readonly media: number;
  /** The bytes read so far. */
  readonly bytes: number;
  /** How many of these bytes have no recorded CRC-32. */
  readonly uncheckedBytes: number;
  /** The chunks compared with their CRC-32 so far. */
  readonly chunks: number;
  /** The first hundred findings. */
  readonly findings: readonly ScrubFinding[];
  readonly findingsTotal: number;
  /** The reason of the state `failed`. */
  readonly problem?: string;
}

type Progress = { -readonly [key in keyof ScrubView]: ScrubView[key] } & { findings: ScrubFinding[] };

interface Scrub {
  readonly progress: Progress;
  readonly controller: AbortController;
  readonly ended: Promise<void>;
}

export interface ScrubsOptions {
  readonly uploads: Uploads;
  readonly media: Media;
  readonly views: NamespaceQueries;
  readonly damages: DamageBook;
}

export class Scrubs {
  readonly #options: ScrubsOptions;
  /** The last scrub of each namespace, in the order in which they began. */
  readonly #scrubs = new Map<string, Scrub>();

  constructor(options: ScrubsOptions) {
    this.#options = options;
  }

  /** Null: none was begun. */
  view(namespace: string): ScrubView | null {
    const scrub = this.#scrubs.get(namespace);
    return scrub === undefined ? null : viewOf(scrub.progress);
  }

  /** Begins a scrub, unless one is running. */
  start(namespace: string): { readonly scrub: ScrubView; readonly isNew: boolean } {
    const running = this.#scrubs.get(namespace);
    if (running?.progress.state === 'running') return { scrub: viewOf(running.progress), isNew: false };
    const progress = begun(namespace);
    const controller = new AbortController();
    const ended = new Run(this.#options, progress, controller.signal).all();
    this.#scrubs.delete(namespace);
    this.#scrubs.set(namespace, { progress, controller, ended });
    this.#forgetEnded();
    return { scrub: viewOf(progress), isNew: true };
  }

  /** Resolves when the scrub has ended, by itself or by `signal`. Joins a running scrub. */
  async run(namespace: string, signal?: AbortSignal): Promise<ScrubView> {
    this.start(namespace);
    const scrub = this.#scrubs.get(namespace);
    const cancel = (): void => scrub?.controller.abort();
    if (signal?.aborted === true) cancel();
    signal?.addEventListener('abort', cancel);
    await scrub?.ended;
    signal?.removeEventListener('abort', cancel);
    return scrub === undefined ? viewOf(begun(namespace)) : viewOf(scrub.progress);
  }

  /** Resolves when the cancelled scrub has ended. Null: no scrub was begun. */
  async cancel(namespace: string): Promise<ScrubView | null> {
    const scrub = this.#scrubs.get(namespace);
    if (scrub === undefined) return null;
    scrub.controller.abort();
    await scrub.ended;
    return viewOf(scrub.progress);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#scrubs.keys()].map((namespace) => this.cancel(namespace)));
  }

  #forgetEnded(): void {
    for (const [namespace, { progress }] of this.#scrubs) {
      if (this.#scrubs.size <= MAX_ENDED) return;
      if (progress.state !== 'running') this.#scrubs.delete(namespace);
    }
  }
}

class Run {
  readonly #options: ScrubsOptions;
  readonly #progress: Progress;
  readonly #signal: AbortSignal;
  #unpaused = 0;

  constructor(options: ScrubsOptions, progress: Progress, signal: AbortSignal) {
    this.#options = options;
    this.#progress = progress;
    this.#signal = signal;
  }

  /** Never rejects. */
  async all(): Promise<void> {
    const progress = this.#progress;
    try {
      await this.#uploads();
      await this.#media();
      progress.state = 'done';
    } catch (error) {
      progress.state = this.#signal.aborted ? 'cancelled' : 'failed';
      if (progress.state === 'failed')
        progress.problem =
          error instanceof AppError ? error.message : 'the server failed while it was reading';
    }
    progress.endedAt = isoNow();
  }

  async #uploads(): Promise<void> {
    const { uploads, views } = this.#options;
    const onDamaged = (error: AppError): void => this.#damaged(error);
    for await (const { namespace, state } of uploads.list(this.#progress.namespace, onDamaged)) {
      const { fileId, finalization } = state;
      this.#progress.uploads += 1;
      const place = placeOf(namespace, fileId);
      if (finalization === null)
        await this.#look(place, () => views.verifyUpload(namespace, fileId, this.#onRead), { fileId });
    }
  }

  async #media(): Promise<void> {
    const { media, views } = this.#options;
    const onDamaged = (error: AppError): void => this.#damaged(error);
    for await (const { entry } of media.list(this.#progress.namespace, onDamaged)) {
      const { namespace, id } = entry;
      this.#progress.media += 1;
      await this.#look({ kind: 'media', namespace, name: id }, () =>
        views.verifyEntry(namespace, id, this.#onRead),
      );
    }
  }

  async #look(
    place: StorageKey,
    verify: () => Promise<Verified>,
    about: { fileId?: string } = {},
  ): Promise<void> {
    await this.#pause(BYTES_PER_PLACE);
    try {
      const { uncheckedBytes, chunks, damaged } = await verify();
      this.#progress.uncheckedBytes += uncheckedBytes;
      this.#progress.chunks += chunks;
      if (damaged.length > 0)
        this.#finds({ ...damagedView(contentDamage(place, damaged)), ...about, chunks: damaged });
    } catch (error) {
      if (isDamage(error)) this.#damaged(error);
      else if (!(error instanceof AppError && error.status === 404)) throw error; // Removed since it was listed.
    }
  }

  readonly #onRead = (bytes: number): Promise<void> | undefined => {
    this.#progress.bytes += bytes;
    return this.#pause(bytes);
  };

  /** Undefined: no pause is due yet. @throws when the scrub is cancelled */
  #pause(bytes: number): Promise<void> | undefined {
    if (this.#signal.aborted) throw new Stopped('cancelled');
    this.#unpaused += bytes;
    if (this.#unpaused < PAUSE_AFTER_BYTES) return undefined;
    this.#unpaused = 0;
    return pause(PAUSE_MS, this.#signal);
  }

  #damaged(error: AppError): void {
    this.#options.damages.met(error);
    this.#finds(damagedView(error));
  }

  #finds(finding: ScrubFinding): void {
    this.#progress.findingsTotal += 1;
    if (this.#progress.findings.length < MAX_FINDINGS) this.#progress.findings.push(finding);
  }
}

function isoNow(): string {
  return new Date(wallMs()).toISOString();
}

/** Rejects as soon as the scrub is cancelled. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancelled = (): void => {
      clearTimeout(timer);
      reject(new Stopped('cancelled'));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', cancelled);
      resolve();
    }, ms);
    signal.addEventListener('abort', cancelled, { once: true });
  });
}

function begun(namespace: string): Progress {
  const counts = { uploads: 0, media: 0, bytes: 0, uncheckedBytes: 0, chunks: 0, findingsTotal: 0 };
  const startedAt = isoNow();
  return { namespace, state: 'running', startedAt, endedAt: null, ...counts, findings: [] };
}

function viewOf(progress: Progress): ScrubView {
  return { ...progress, findings: [...progress.findings] };
}
