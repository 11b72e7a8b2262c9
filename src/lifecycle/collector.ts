// lifecycle/collector.ts: erases what expired, and what it leaves behind, now and then (rule C15).
//
// Promises: one run at a time; `stop` waits for the one that queue. What is wrong with one upload, entry or folder is told once, and
// keeps none of the others from being seen to (rule D5).
// Must not know: what expires when, where bytes lie.
import type { Logger } from 'pino';
import { isDamage, type AppError } from '../core/errors.ts';
import { SerialQueue } from '../core/keyed-queue.ts';
import { clearInterval, setInterval } from '../core/machine-time.ts';
import type { Media } from '../media/media.ts';
import type { StorageKey, Storage } from '../uploads/ports.ts';
import type { Uploads } from '../uploads/uploads.ts';

/** Nothing expires unseen: this only decides how soon the space of what nobody asks for is free again. */
const MAX_INTERVAL_MS = 10 * 60_000;
const MIN_INTERVAL_MS = 1_000;

interface Collected {
  readonly storage: Storage;
  readonly uploads: Uploads;
  readonly media: Media;
  readonly uploadTtlMs: number;
}

export interface CollectorOptions extends Collected {
  readonly logger: Logger;
  readonly onDamaged: (error: AppError) => void;
}

export interface CollectOptions extends Collected {
  /** @param place null: of no single one */
  readonly onError: (error: unknown, place: StorageKey | null) => void;
}

export interface Collector {
  stop(): Promise<void>;
}

export function startCollector(options: CollectorOptions): Collector {
  const { uploadTtlMs } = options;
  const onError = telling(options);
  const queue = new SerialQueue();
  const intervalMs = Math.min(Math.max(uploadTtlMs / 4, MIN_INTERVAL_MS), MAX_INTERVAL_MS);
  const timer = setInterval(() => {
    void queue.run(() => collectOnce({ ...options, onError }));
  }, intervalMs);
  timer.unref();
  return {
    stop() {
      clearInterval(timer);
      return queue.run(() => Promise.resolve());
    },
  };
}

/** Damage is told of once (DamageBook); of all else the log says what could not be collected. */
function telling({ logger, onDamaged }: CollectorOptions): CollectOptions['onError'] {
  return (err, place) => {
    if (isDamage(err)) onDamaged(err);
    else if (place === null) logger.error({ err }, 'the collector failed');
    else logger.error({ err, kind: place.kind, name: place.name }, 'something could not be collected');
  };
}

/** Each part is done, whatever became of the one before it. Never rejects. */
export async function collectOnce(options: CollectOptions): Promise<void> {
  const { storage, uploads, media, uploadTtlMs, onError } = options;
  if (storage.availability.writeRefusal() !== null) return; // The log has it already (D6); the next run does it all.
  const parts = [
    () => uploads.collect(onError),
    () => media.collect(uploadTtlMs * 2, onError),
    () => storage.tidy(),
  ];
  for (const part of parts) await part().catch((error: unknown) => onError(error, null));
}
