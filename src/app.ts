// app.ts: the composition root: storage, services, HTTP, put together in a fixed order.
//
// Promises: two servers in one process share nothing; `close` resolves within moments, whatever is stalled; `drain` lets
// requests in flight end first (rule D4).
// Must not know: argv, the environment, signals.
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { ensureEntry } from './http/media.ts';
import { HttpServer } from './http-server.ts';
import type { Fixtures } from './media/accounts.ts';
import { Media } from './media/media.ts';
import { openDiskStorage } from './storage/disk.ts';
import { createMemoryStorage } from './storage/memory.ts';
import { withQuota } from './storage/quota.ts';
import { Metrics } from './telemetry.ts';
import type { Clock, Ids, Storage } from './uploads/ports.ts';
import { Uploads } from './uploads/uploads.ts';

export interface ServerOptions {
  readonly config: Config;
  readonly fixtures: Fixtures;
  readonly logger: Logger;
  readonly version: string;
  readonly clock: Clock;
  readonly ids: Ids;
}

export interface Server {
  /** `http://host:port`, with the port that was really taken. */
  readonly url: string;
  /** Null: the admin plane is off (§9). */
  readonly adminUrl: string | null;
  /** Stops accepting, lets requests in flight end for at most `graceMs`, then closes. */
  drain(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

const DEFAULT_MEMORY_QUOTA = 1024 ** 3;
const MAX_IDLE_UPLOADS = 512;
/** Nothing expires unseen: this only decides how soon the space of what nobody asks for is free again. */
const MAX_COLLECT_INTERVAL_MS = 10 * 60_000;
const MIN_COLLECT_INTERVAL_MS = 1_000;

export const systemClock: Clock = { now: () => Date.now() };
export const randomIds: Ids = { next: () => randomBytes(12).toString('hex') };

/** Opens everything and listens. @throws FolderInUse; the error of `listen` when the port is taken */
export async function openServer(options: ServerOptions): Promise<Server> {
  const { config, logger } = options;
  const storage = await openStorage(config);
  const metrics = new Metrics();
  const { uploads, media } = createServices(options, storage, metrics);
  metrics.observe({
    openUploads: () => uploads.unfinishedCount,
    storedBytes: () => storage.bytes.usage(),
    entriesByStatus: () => media.countByStatus(),
  });
  const http = new HttpServer({ ...options, storage, metrics, uploads, media });
  const collector = startCollector({ config, logger, uploads, media });
  const closeStores = async (): Promise<void> => {
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
  const close = (): Promise<void> => (closing ??= http.close().then(closeStores));
  return {
    url: http.url,
    adminUrl: http.adminUrl,
    close,
    async drain(graceMs) {
      await http.drain(graceMs);
      await close();
    },
  };
}

async function openStorage(config: Config): Promise<Storage> {
  const isMemory = config.storage === 'memory';
  const storage = isMemory ? createMemoryStorage() : await openDiskStorage(config.dataDir, config.durability);
  const maxBytes = config.maxStoredBytes ?? (isMemory ? DEFAULT_MEMORY_QUOTA : undefined);
  return maxBytes === undefined ? storage : { ...storage, bytes: withQuota(storage.bytes, maxBytes) };
}

function createServices(
  { config, logger, clock, ids }: ServerOptions,
  storage: Storage,
  metrics: Metrics,
): { uploads: Uploads; media: Media } {
  const timing = { pendingMs: config.pendingTime, processingMs: config.processingTime };
  const onCreated = (entry: { spec: { type: string } }): void => metrics.entryCreated(entry.spec.type);
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
    onRepair: (repair) =>
      logger.warn(repair, 'an upload was repaired: a write that never finished was dropped'),
    onCloseError: (err) => logger.warn({ err }, 'a file could not be closed'),
    onExpired: (place) => {
      metrics.uploadExpired();
      logger.info({ namespace: place.namespace, name: place.name }, 'an upload expired');
    },
    onCompleted: () => metrics.uploadCompleted(),
    settle: async (finalized) => {
      await ensureEntry(media, finalized);
    },
  });
  return { uploads, media };
}

interface CollectorOptions extends Pick<ServerOptions, 'config' | 'logger'> {
  readonly uploads: Uploads;
  readonly media: Media;
}

/** Erases what expired, now and then. One run at a time; `stop` waits for the one that runs. */
function startCollector({ config, logger, uploads, media }: CollectorOptions): { stop(): Promise<void> } {
  let running: Promise<void> = Promise.resolve();
  const collect = async (): Promise<void> => {
    await uploads.collect((err, place) =>
      logger.error({ err, name: place.name }, 'an upload could not be collected'),
    );
    await media.collect(config.uploadTtl * 2);
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
