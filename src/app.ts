// app.ts: the composition root: opens the storage, the services and HTTP in a fixed order.
//
// Promises: two servers in one process share nothing. `close` resolves soon, even if requests hang. `drain` lets requests in
// flight end first (rule D4).
// Must not know: argv, the environment, signals.
import { createControl, type ControlOptions, type Services } from './control/control.ts';
import type { ControlledServer } from './control/in-process.ts';
import { startCollector } from './lifecycle/collector.ts';
import { shownValue, type Source } from './config/config.ts';
import { SETTING_NAMES, type SettingName } from './config/settings.ts';
import type { AppError } from './core/errors.ts';
import { HttpServer, type AppObserver } from './http/server.ts';
import { DamageBook } from './integrity/damage-book.ts';
import type { Journal } from './journal/journal.ts';
import { loadLate } from './lifecycle/late-loads.ts';
import { readAtStart } from './lifecycle/read-at-start.ts';
import { createServices } from './lifecycle/services.ts';
import { Metrics, type Log } from './telemetry/telemetry.ts';
import { openStorage } from './storage/open-storage.ts';

export interface ServerOptions extends ControlOptions, Partial<Pick<Log, 'droppedLines'>> {
  /** The source of each setting. */
  readonly sources: Readonly<Record<SettingName, Source>>;
  readonly version: string;
  /** For tests that check every exchange against the contract. */
  readonly observe?: AppObserver;
}

export interface Server extends ControlledServer, Pick<Services, 'uploads' | 'media'> {
  /** Null: the journal is off. */
  readonly journal: Journal | null;
  /**
   * Resolves when another process has taken over the data folder, so that this server can no longer store anything (rule D3).
   */
  readonly lost: Promise<void>;
}

/** Opens everything and listens. @throws FolderInUse; the error of `listen` when the port is taken */
export async function openServer(options: ServerOptions): Promise<Server> {
  const { config, logger } = options;
  const storage = await openStorage(options);
  const metrics = new Metrics();
  const damages = new DamageBook((err) => logger.error({ err, ...err.details }, err.code));
  const services = createServices(options, { storage, metrics, damages });
  const { uploads, media, clocks } = services;
  const onDamaged = (error: AppError): void => damages.met(error);
  const beneath = { storage, logger, onDamaged };
  const kept = await readAtStart({ ...beneath, config, ids: services.ids });
  const double = createControl(options, services, { storage, damages, kept });
  const http = new HttpServer({
    ...options,
    storage,
    metrics,
    ...services,
    ...double,
    onDamaged,
    shownConfig: shownBy(options),
  });
  const collector = startCollector({ ...services, ...beneath, uploadTtlMs: config.uploadTtl });
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
    // A pending wait for an exchange or a rule would keep the server from closing.
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

function shownBy({ config, sources }: ServerOptions): () => object {
  return () =>
    Object.fromEntries(
      SETTING_NAMES.map((name) => [name, { value: shownValue(config, name), source: sources[name] }]),
    );
}
