// lifecycle/services.ts: makes the services of a server over its storage: clocks, ids, uploads and media, with their log lines
// and metrics.
//
// Promises: makes the services only; nothing is read and nothing runs before a caller asks. app.ts opens and closes them.
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { Services } from '../control/control.ts';
import { Clocks } from '../core/clock.ts';
import { SeededIds } from '../core/ids.ts';
import type { DamageBook } from '../integrity/damage-book.ts';
import { VerifiedReader } from '../integrity/verified-reader.ts';
import { REPAIRED } from './known-ids.ts';
import type { Entry } from '../media/entry.ts';
import { entryMaking } from '../media/finalize.ts';
import { Media } from '../media/media.ts';
import { maxCachedFiles } from '../storage/disk/descriptors.ts';
import { noteOn } from '../storage/open-storage.ts';
import type { Log, Metrics } from '../telemetry/telemetry.ts';
import { Expiries } from '../uploads/expiries.ts';
import type { StorageKey, Storage } from '../uploads/ports.ts';
import { Uploads } from '../uploads/uploads.ts';

export interface ServicesOptions extends Partial<Pick<Log, 'droppedLines'>> {
  readonly config: Config;
  readonly logger: Logger;
}

interface Parts {
  readonly storage: Storage;
  readonly metrics: Metrics;
  readonly damages: DamageBook;
}

export function createServices(options: ServicesOptions, { storage, metrics, damages }: Parts): Services {
  const { config, logger, droppedLines: droppedLogLines = () => 0 } = options;
  const clock = new Clocks();
  const ids = new SeededIds(config.seed ?? null);
  const timing = { pendingTimeMs: config.pendingTime, processingTimeMs: config.processingTime };
  const onCreated = ({ id, namespace, spec }: Entry, from: StorageKey): void => {
    metrics.entryCreated(spec.type);
    damages.moved(from, { kind: 'media', namespace, name: id });
  };
  const expiries = new Expiries();
  const onErased = (place: StorageKey): void => damages.forget(place);
  const onCloseError = noteOn(logger);
  const reader = new VerifiedReader(storage.bytes, damages);
  const media = new Media({ storage, reader, clock, ids, timing, onCreated, onErased, onCloseError });
  const uploads = new Uploads({
    storage,
    clock,
    ids,
    chunkOrder: config.chunkOrder,
    maxFileBytes: config.maxFileSize,
    uploadTtlMs: config.uploadTtl,
    takeoverAfterMs: config.takeoverAfter,
    maxIdle: maxCachedFiles(),
    maxOpenUploads: config.maxOpenUploads,
    onRepair: (repair) => logger.warn(repair, REPAIRED),
    onCloseError: noteOn(logger),
    onExpired: (place) => {
      expiries.add(place.namespace);
      metrics.uploadExpired();
      logger.info({ namespace: place.namespace, name: place.name }, 'an upload expired');
    },
    onCompleted: () => metrics.uploadCompleted(),
    onErased,
    makeEntry: entryMaking(media),
  });
  metrics.observe({
    openUploads: () => uploads.unfinishedCount,
    storedBytes: () => storage.bytes.usage(),
    // Without a data folder the entries cannot be counted, but the other metrics must still be readable (D6).
    entriesByStatus: async () =>
      storage.availability.readRefusal() === null ? media.countByStatus() : new Map(),
    droppedLogLines,
  });
  return { clocks: clock, ids, uploads, expiries, media, reader };
}
