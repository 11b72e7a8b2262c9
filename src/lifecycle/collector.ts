// lifecycle/collector.ts: erases, at intervals, expired uploads and the files that they leave behind (rule C15).
//
// Promises: only one run at a time; `stop` waits for the current run. A problem with one upload, entry or folder is reported
// once and does not keep the others from being collected (rule D5).
import type { Logger } from 'pino';
import { isDamage, type AppError } from '../core/errors.ts';
import { SerialQueue } from '../core/keyed-queue.ts';
import { clearInterval, setInterval } from '../core/machine-time.ts';
import type { Media } from '../media/media.ts';
import type { StorageKey, Storage } from '../uploads/ports.ts';
import type { Uploads } from '../uploads/uploads.ts';

/** An expired upload is refused at once, by its date. This interval only decides how soon its space is free again. */
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
  /** @param place null when the error concerns no single place */
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

/** Damage is reported once (DamageBook). For any other error the log names what could not be collected. */
function telling({ logger, onDamaged }: CollectorOptions): CollectOptions['onError'] {
  return (err, place) => {
    if (isDamage(err)) onDamaged(err);
    else if (place === null) logger.error({ err }, 'the collector failed');
    else logger.error({ err, kind: place.kind, name: place.name }, 'something could not be collected');
  };
}

/** Each part runs, whatever happened to the part before. Never rejects. */
export async function collectOnce(options: CollectOptions): Promise<void> {
  const { storage, uploads, media, uploadTtlMs, onError } = options;
  if (storage.availability.writeRefusal() !== null) return; // The log has the reason already (D6); the next run does the work.
  const parts = [
    () => uploads.collect(onError),
    () => media.collect(uploadTtlMs * 2, onError),
    () => storage.tidy(),
  ];
  for (const part of parts) await part().catch((error: unknown) => onError(error, null));
}
