// app.ts: the composition root: storage, services, HTTP, put together in a fixed order.
//
// Promises: two servers in one process share nothing; `close` resolves within moments, whatever is stalled; `drain` lets
// requests in flight end first (rule D4).
// Must not know: argv, the environment, signals.
import type { Logger } from 'pino';
import { Controls } from './admin/controls.ts';
import { NamespaceStates } from './admin/state.ts';
import { Views } from './admin/views.ts';
import { Clocks } from './clock.ts';
import { shownValue, type Config, type Source } from './config.ts';
import { SETTING_NAMES, type SettingName } from './settings.ts';
import { isDamage } from './errors.ts';
import { EVERYBODY, RuleBook } from './faults/rule-book.ts';
import type { Rule } from './faults/rules.ts';
import { ensureEntry } from './http/media.ts';
import { HttpServer, isLoopback, type AppObserver } from './http-server.ts';
import { MediaIds } from './ids.ts';
import { Journal } from './journal/journal.ts';
import { clearInterval, setInterval } from './machine-time.ts';
import type { Fixtures } from './media/accounts.ts';
import { Media } from './media/media.ts';
import { openDiskStorage } from './storage/disk.ts';
import { createMemoryStorage } from './storage/memory.ts';
import { withQuota } from './storage/quota.ts';
import { Metrics } from './telemetry.ts';
import { Expiries } from './uploads/expiries.ts';
import type { Storage } from './uploads/ports.ts';
import type { UploadEvent } from './uploads/upload.ts';
import { Uploads } from './uploads/uploads.ts';

export interface ServerOptions {
  readonly config: Config;
  /** Where each setting came from. */
  readonly sources: Readonly<Record<SettingName, Source>>;
  readonly fixtures: Fixtures;
  readonly logger: Logger;
  readonly version: string;
  /** Armed at start, for every namespace. */
  readonly rules?: readonly Rule[];
  /** For tests that hold every exchange against the contract. */
  readonly observe?: AppObserver;
}

export interface Server {
  /** `http://host:port`, with the port that was really taken. */
  readonly url: string;
  /** Null: the admin plane is off (§9). */
  readonly adminUrl: string | null;
  readonly version: string;
  readonly controls: Controls;
  /** Null: the server keeps none. */
  readonly journal: Journal | null;
  readonly views: Views;
  readonly uploads: Uploads;
  readonly media: Media;
  /** Stops accepting, lets requests in flight end for at most `graceMs`, then closes. */
  drain(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

const DEFAULT_MEMORY_QUOTA = 1024 ** 3;
const REPAIRED = 'an upload was repaired: a write that never finished was dropped';
const COPIED = 'the bytes of an entry were copied: this filesystem cannot move them (an overlay)';
const MAX_IDLE_UPLOADS = 512;
/** Nothing expires unseen: this only decides how soon the space of what nobody asks for is free again. */
const MAX_COLLECT_INTERVAL_MS = 10 * 60_000;
const MIN_COLLECT_INTERVAL_MS = 1_000;

/** Opens everything and listens. @throws FolderInUse; the error of `listen` when the port is taken */
export async function openServer(options: ServerOptions): Promise<Server> {
  const { config, logger } = options;
  const storage = await openStorage(config, logger);
  const metrics = new Metrics();
  const services = createServices(options, storage, metrics);
  const { uploads, media, clocks, ids } = services;
  if (config.seed !== undefined) {
    const taking = takeKnown(ids, storage, logger);
    await taking.catch((error: unknown) => closeAndThrow(storage, error));
  }
  metrics.observe({
    openUploads: () => uploads.unfinishedCount,
    storedBytes: () => storage.bytes.usage(),
    entriesByStatus: () => media.countByStatus(),
  });
  const double = createDouble(options, services, storage);
  const http = new HttpServer({
    ...options,
    storage,
    metrics,
    ...services,
    ...double,
    shownConfig: shownBy(options),
  });
  const collector = startCollector({ config, logger, storage, uploads, media });
  const closeStores = async (): Promise<void> => {
    await clocks.close();
    await collector.stop();
    await uploads.close();
    await storage.close();
  };
  try {
    await http.listen();
  } catch (error) {
    await http.close();
    await closeStores();
    throw error;
  }
  let closing: Promise<void> | null = null;
  const close = (): Promise<void> => {
    double.journal?.close(); // Whoever waits for an exchange would keep the server from closing.
    return (closing ??= http.close().then(closeStores));
  };
  return {
    url: http.url,
    adminUrl: http.adminUrl,
    version: options.version,
    controls: double.controls,
    journal: double.journal,
    views: double.views,
    uploads,
    media,
    close,
    async drain(graceMs) {
      await http.drain(graceMs);
      await close();
    },
  };
}

/**
 * A seeded sequence begins anew with every process, and the entries of the last one are still there. So are the ids of
 * entries that a crash kept from being made: they stand in the ledgers of their uploads, which a seed has us read (D2 is
 * about servers without one).
 */
async function takeKnown(ids: MediaIds, { ledgers }: Storage, logger: Logger): Promise<void> {
  for await (const { place } of ledgers.list('media')) ids.take(place.namespace, place.name);
  for await (const { place } of ledgers.list('uploads')) {
    const opened = await ledgers.open(place).catch((error: unknown) => {
      if (isDamage(error)) return null; // It will be refused to whoever asks for it.
      throw error;
    });
    await opened?.ledger.close();
    if (opened?.torn !== undefined) logger.warn({ place, tornLedgerBytes: opened.torn.bytes }, REPAIRED);
    for (const record of (opened?.records ?? []) as unknown as UploadEvent[])
      if (record.type === 'finalized') ids.take(record.namespace, record.mediaId);
  }
}

async function closeAndThrow(storage: Storage, error: unknown): Promise<never> {
  await storage.close();
  throw error;
}

interface Services {
  readonly clocks: Clocks;
  readonly ids: MediaIds;
  readonly uploads: Uploads;
  readonly expiries: Expiries;
  readonly media: Media;
}

/** What makes the server a test double: rules, journal, clocks, and what can be done to them. */
function createDouble(
  { config, fixtures, rules: armed = [] }: ServerOptions,
  { clocks, ids, uploads, expiries, media }: Services,
  storage: Storage,
): { rules: RuleBook; journal: Journal | null; controls: Controls; views: Views } {
  const rules = new RuleBook(config.seed ?? null, (namespace) => clocks.now(namespace));
  rules.add(EVERYBODY, armed);
  const limits = { maxEntries: config.journalEntries, maxBytes: config.journalBytes };
  const journal = config.noJournal ? null : new Journal(limits);
  const readBytes: Storage['bytes']['read'] = (place, extents, range) =>
    storage.bytes.read(place, extents, range);
  const views = new Views({ uploads, media, readBytes, uploadTtlMs: config.uploadTtl });
  const states = new NamespaceStates({
    uploads,
    media,
    ids,
    fixtures,
    clock: clocks,
    dropLate: (namespace) => clocks.drop(namespace),
    readBytes,
    uploadTtlMs: config.uploadTtl,
    pendingMs: config.pendingTime,
  });
  // A sequence of their own: with a seed, arming a rule must not change the ids of entries.
  const ruleIds = new MediaIds(config.seed === undefined ? null : `${config.seed}/rules`);
  const controls = new Controls({
    rules,
    journal,
    clocks,
    uploads,
    expiries,
    media,
    states,
    newRuleId: (namespace) => `rule-${ruleIds.next(namespace).slice(0, 8)}`,
    isTtlNeeded: !isLoopback(config.host),
    onReset: (namespace) => {
      ids.reset(namespace);
      ruleIds.reset(namespace);
    },
  });
  return { rules, journal, controls, views };
}

/** A file that could not be closed: nothing is lost by it, but it wants a look. */
function noteOn(logger: Logger): (error: unknown) => void {
  return (err) => logger.warn({ err }, 'a file could not be closed');
}

function shownBy({ config, sources }: ServerOptions): () => object {
  return () =>
    Object.fromEntries(
      SETTING_NAMES.map((name) => [name, { value: shownValue(config, name), source: sources[name] }]),
    );
}

async function openStorage(config: Config, logger: Logger): Promise<Storage> {
  const isMemory = config.storage === 'memory';
  const { dataDir, durability } = config;
  const notes = {
    onCloseError: noteOn(logger),
    onCopied: (path: string) => logger.info({ path }, COPIED),
  };
  const storage = isMemory ? createMemoryStorage() : await openDiskStorage(dataDir, durability, notes);
  const maxBytes = config.maxStoredBytes ?? (isMemory ? DEFAULT_MEMORY_QUOTA : undefined);
  const { maxStoredBytesPerKey: maxBytesPerNamespace } = config;
  if (maxBytes === undefined && maxBytesPerNamespace === undefined) return storage;
  return { ...storage, bytes: withQuota(storage.bytes, { maxBytes, maxBytesPerNamespace }) };
}

function createServices({ config, logger }: ServerOptions, storage: Storage, metrics: Metrics): Services {
  const clock = new Clocks();
  const ids = new MediaIds(config.seed ?? null);
  const timing = { pendingMs: config.pendingTime, processingMs: config.processingTime };
  const onCreated = (entry: { spec: { type: string } }): void => metrics.entryCreated(entry.spec.type);
  const expiries = new Expiries();
  const media = new Media({ storage, clock, ids, timing, onCreated });
  const uploads = new Uploads({
    storage,
    clock,
    ids,
    order: config.chunkOrder,
    maxBytes: config.maxFileSize,
    ttlMs: config.uploadTtl,
    takeoverMs: config.takeoverAfter,
    maxIdle: MAX_IDLE_UPLOADS,
    maxOpenPerNamespace: config.maxOpenUploads,
    onRepair: (repair) => logger.warn(repair, REPAIRED),
    onCloseError: noteOn(logger),
    onExpired: (place) => {
      expiries.add(place.namespace);
      metrics.uploadExpired();
      logger.info({ namespace: place.namespace, name: place.name }, 'an upload expired');
    },
    onCompleted: () => metrics.uploadCompleted(),
    settle: async (finalized) => {
      // A damaged entry has its bytes: its ledger comes after them. What is wrong with it is its own affair (D2).
      await ensureEntry(media, finalized).catch((error: unknown) => {
        if (!isDamage(error)) throw error;
      });
    },
  });
  return { clocks: clock, ids, uploads, expiries, media };
}

interface CollectorOptions extends Pick<ServerOptions, 'config' | 'logger'> {
  readonly storage: Storage;
  readonly uploads: Uploads;
  readonly media: Media;
}

/** Erases what expired, and what it leaves behind, now and then. One run at a time; `stop` waits for the one that runs. */
function startCollector(options: CollectorOptions): { stop(): Promise<void> } {
  const { config, logger, storage, uploads, media } = options;
  let running: Promise<void> = Promise.resolve();
  const collect = async (): Promise<void> => {
    await uploads.collect((err, place) =>
      logger.error({ err, name: place.name }, 'an upload could not be collected'),
    );
    await media.collect(config.uploadTtl * 2);
    await storage.tidy();
  };
  const intervalMs = Math.min(
    Math.max(config.uploadTtl / 4, MIN_COLLECT_INTERVAL_MS),
    MAX_COLLECT_INTERVAL_MS,
  );
  const timer = setInterval(() => {
    running = running.then(collect).catch((err: unknown) => logger.error({ err }, 'the collector failed'));
  }, intervalMs);
  timer.unref();
  return {
    stop() {
      clearInterval(timer);
      return running;
    },
  };
}
