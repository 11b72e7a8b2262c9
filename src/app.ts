// app.ts: the composition root: storage, services, HTTP, put together in a fixed order.
//
// Promises: two servers in one process share nothing; `close` resolves within moments, whatever is stalled; `drain` lets
// requests in flight end first (rule D4).
// Must not know: argv, the environment, signals.
import type { Logger } from 'pino';
import { Clocks } from './core/clock.ts';
import { createControl, type ControlOptions, type Services } from './control/control.ts';
import type { ControlledServer } from './control/in-process.ts';
import { startCollector, type CollectorOptions } from './lifecycle/collector.ts';
import { shownValue, type Source } from './config/config.ts';
import { SETTING_NAMES, type SettingName } from './config/settings.ts';
import { isDamage } from './core/errors.ts';
import { entryMaking } from './media/finalize.ts';
import { HttpServer, type AppObserver } from './http/server.ts';
import { SeededIds } from './core/ids.ts';
import { DamageBook } from './integrity/damage-book.ts';
import { VerifiedReader } from './integrity/verified-reader.ts';
import { openJournalFile } from './journal/journal-file.ts';
import type { Journal } from './journal/journal.ts';
import { takeKnownIds } from './lifecycle/known-ids.ts';
import { loadLate } from './lifecycle/late-loads.ts';
import type { Entry } from './media/entry.ts';
import { Media } from './media/media.ts';
import { Metrics, type Log } from './telemetry/telemetry.ts';
import { Expiries } from './uploads/expiries.ts';
import { noteOn, openStorage } from './storage/open-storage.ts';
import { maxCachedFiles } from './storage/disk/descriptors.ts';
import type { StorageKey, Storage } from './uploads/ports.ts';
import { Uploads } from './uploads/uploads.ts';

export interface ServerOptions extends ControlOptions, Partial<Pick<Log, 'droppedLines'>> {
  /** Where each setting came from. */
  readonly sources: Readonly<Record<SettingName, Source>>;
  readonly version: string;
  /** For tests that hold every exchange against the contract. */
  readonly observe?: AppObserver;
}

export interface Server extends ControlledServer, Pick<Services, 'uploads' | 'media'> {
  /** Null: the server keeps none. */
  readonly journal: Journal | null;
  /** Resolves when another process has taken over the data folder: nothing can be stored any more (rule D3). */
  readonly lost: Promise<void>;
}

const REPAIRED = 'an upload was repaired: a write that never finished was dropped';

/** Opens everything and listens. @throws FolderInUse; the error of `listen` when the port is taken */
export async function openServer(options: ServerOptions): Promise<Server> {
  const { config, logger } = options;
  const storage = await openStorage(options);
  const kept = await openKept(options).catch((error: unknown) => closeAndThrow(storage, error));
  const metrics = new Metrics();
  const damages = new DamageBook((err) => logger.error({ err, ...err.details }, err.code));
  const services = createServices(options, { storage, metrics, damages });
  const { uploads, media, clocks } = services;
  if (config.seed !== undefined) await takeKnown(services.ids, storage, { logger, damages });
  const double = createControl(options, services, { storage, damages, kept });
  const http = new HttpServer({
    ...options,
    storage,
    metrics,
    ...services,
    ...double,
    onDamaged: (error) => damages.met(error),
    shownConfig: shownBy(options),
  });
  const onError = uncollected(logger, damages);
  const collector = startCollector({ ...services, storage, uploadTtlMs: config.uploadTtl, onError });
  const closeStores = async (): Promise<void> => {
    await clocks.close();
    await Promise.all([collector.stop(), double.scrubs.close()]);
    await media.close();
    await uploads.close();
    await kept?.file.close();
    await storage.close();
  };
  try {
    await loadLate(config);
    await http.listen();
  } catch (error) {
    await http.close();
    await closeStores();
    throw error;
  }
  let closing: Promise<void> | null = null;
  const close = (): Promise<void> => {
    // Whoever waits for an exchange or a rule would keep the server from closing.
    double.queries.close();
    double.controls.close();
    return (closing ??= http.close().then(closeStores));
  };
  return {
    url: http.url,
    adminUrl: http.adminUrl,
    version: options.version,
    ...double,
    uploads,
    media,
    lost: storage.lost,
    close,
    async drain(graceMs) {
      await http.drain(graceMs);
      await close();
    },
  };
}

function uncollected(logger: Logger, damages: DamageBook): CollectorOptions['onError'] {
  return (err, place) => {
    if (isDamage(err)) damages.met(err);
    else if (place === null) logger.error({ err }, 'the collector failed');
    else logger.error({ err, kind: place.kind, name: place.name }, 'something could not be collected');
  };
}

/** Closes the storage when that fails. */
async function takeKnown(
  ids: SeededIds,
  storage: Storage,
  { logger, damages }: { logger: Logger; damages: DamageBook },
): Promise<void> {
  const taking = takeKnownIds({
    ids,
    storage,
    onDamaged: (error) => damages.met(error),
    onTorn: (place, bytes) => logger.warn({ place, tornLedgerBytes: bytes }, REPAIRED),
  });
  await taking.catch((error: unknown) => closeAndThrow(storage, error));
}

/** The file of the journal. Once the data folder is ours: of two servers that are started alike, one writes to it. */
async function openKept({
  config,
  logger,
}: ServerOptions): Promise<Awaited<ReturnType<typeof openJournalFile>> | null> {
  const { journalFile: path, journalBytes: maxBytes } = config;
  return path === undefined ? null : openJournalFile({ path, maxBytes, logger });
}

async function closeAndThrow(storage: Storage, error: unknown): Promise<never> {
  await storage.close();
  throw error;
}

function shownBy({ config, sources }: ServerOptions): () => object {
  return () =>
    Object.fromEntries(
      SETTING_NAMES.map((name) => [name, { value: shownValue(config, name), source: sources[name] }]),
    );
}

interface Parts {
  readonly storage: Storage;
  readonly metrics: Metrics;
  readonly damages: DamageBook;
}

function createServices(options: ServerOptions, { storage, metrics, damages }: Parts): Services {
  const { config, logger, droppedLines: droppedLogLines = () => 0 } = options;
  const clock = new Clocks();
  const ids = new SeededIds(config.seed ?? null);
  const timing = { pendingMs: config.pendingTime, processingMs: config.processingTime };
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
    order: config.chunkOrder,
    maxBytes: config.maxFileSize,
    ttlMs: config.uploadTtl,
    takeoverMs: config.takeoverAfter,
    maxIdle: maxCachedFiles(),
    maxOpenPerNamespace: config.maxOpenUploads,
    onRepair: (repair) => logger.warn(repair, REPAIRED),
    onCloseError: noteOn(logger),
    onExpired: (place) => {
      expiries.add(place.namespace);
      metrics.uploadExpired();
      logger.info({ namespace: place.namespace, name: place.name }, 'an upload expired');
    },
    onCompleted: () => metrics.uploadCompleted(),
    onErased,
    settle: entryMaking(media),
  });
  metrics.observe({
    openUploads: () => uploads.unfinishedCount,
    storedBytes: () => storage.bytes.usage(),
    // Nobody can count what is not there; the other figures are worth the more then (D6).
    entriesByStatus: async () =>
      storage.availability.readRefusal() === null ? media.countByStatus() : new Map(),
    droppedLogLines,
  });
  return { clocks: clock, ids, uploads, expiries, media, reader };
}
