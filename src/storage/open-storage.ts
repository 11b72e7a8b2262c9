// storage/open-storage.ts: opens the storage that the settings ask for, and writes its events to the log.
import type { Logger } from 'pino';
import { FifoMap } from 'toad-cache';
import type { Config } from '../config/config.ts';
import { openDiskStorage } from './disk/disk-storage.ts';
import type { ReportSkipped } from './disk/paths.ts';
import { createMemoryStorage } from './memory/memory-storage.ts';
import { withQuota } from './quota.ts';
import type { Storage } from '../uploads/ports.ts';

const DEFAULT_MEMORY_QUOTA = 1024 ** 3;
const MAX_TOLD_PATHS = 5_000;
const COPIED = 'the bytes of an entry were copied: this filesystem cannot move them (an overlay)';

interface StorageOptions {
  readonly config: Config;
  readonly logger: Logger;
}

/** @throws FolderInUse; DataFolderUnusable */
export async function openStorage({ config, logger }: StorageOptions): Promise<Storage> {
  const isMemory = config.storage === 'memory';
  const { dataDir, durability } = config;
  const notes = {
    onCloseError: noteOn(logger),
    onCopied: (path: string) => logger.info({ path }, COPIED),
    onSkipped: onceEach((path, problem) =>
      logger.warn({ path, problem }, 'something in the data folder is left alone'),
    ),
    waitMs: config.waitForLock,
    onWait: (message: string) => logger.warn(message),
    onTrouble: (message: string) => logger.error(message),
    onRecovered: (message: string) => logger.warn(message),
    onLost: (message: string) => logger.fatal(message),
  };
  const storage = isMemory ? createMemoryStorage() : await openDiskStorage(dataDir, durability, notes);
  const maxBytes = config.maxStoredBytes ?? (isMemory ? DEFAULT_MEMORY_QUOTA : undefined);
  const { maxStoredBytesPerKey: maxBytesPerNamespace } = config;
  if (maxBytes === undefined && maxBytesPerNamespace === undefined) return storage;
  return { ...storage, bytes: withQuota(storage.bytes, { maxBytes, maxBytesPerNamespace }) };
}

/**
 * Reports each path once, because folders are listed again and again. Only a few thousand paths are remembered; beyond that, a
 * path can be reported again.
 */
function onceEach(tell: ReportSkipped): ReportSkipped {
  const told = new FifoMap<true>(MAX_TOLD_PATHS);
  return (path, problem) => {
    if (told.get(path)) return;
    told.set(path, true);
    tell(path, problem);
  };
}

/** Called for a file that could not be closed. Nothing is lost, but somebody should look at the disk. */
export function noteOn(logger: Logger): (error: unknown) => void {
  return (err) => logger.warn({ err }, 'a file could not be closed');
}
