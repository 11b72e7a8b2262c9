// lifecycle/read-at-start.ts: reads what earlier processes left, before a server takes requests: the journal file and, with a
// seed, the ids that are already given.
//
// Promises: the storage is closed when this fails.
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { AppError } from '../core/errors.ts';
import type { SeededIds } from '../core/ids.ts';
import { openJournalFile } from '../journal/journal-file.ts';
import type { Storage } from '../uploads/ports.ts';
import { takeKnownIds } from './known-ids.ts';

export interface StartOptions {
  readonly config: Pick<Config, 'seed' | 'journalFile' | 'journalBytes'>;
  readonly logger: Logger;
  readonly storage: Storage;
  readonly ids: SeededIds;
  readonly onDamaged: (error: AppError) => void;
}

/** Null: no journal file is kept. */
type Kept = Awaited<ReturnType<typeof openJournalFile>> | null;

export async function readAtStart(options: StartOptions): Promise<Kept> {
  try {
    if (options.config.seed !== undefined) await takeKnownIds(options);
    return await openKept(options);
  } catch (error) {
    await options.storage.close();
    throw error;
  }
}

/** Called when this server owns the data folder: of two servers with the same settings only one may write to the file. */
async function openKept({ config, logger }: StartOptions): Promise<Kept> {
  const { journalFile: path, journalBytes: maxBytes } = config;
  return path === undefined ? null : openJournalFile({ path, maxBytes, logger });
}
