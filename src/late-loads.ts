// late-loads.ts: what is needed only once requests come, loaded before they can (rule D8): a package that is replaced
// meanwhile, or a process without a descriptor to spare, must not be what an exchange meets.
import { readDocsFiles } from './docs/files.ts';
import type { Config } from './config.ts';
import { readSources } from './contract-document.ts';
import { loadContentCheck } from './media/media-check.ts';

/** @throws Error when the package is not whole */
export async function loadLate({ mediaCheck }: Pick<Config, 'mediaCheck'>): Promise<void> {
  readSources();
  readDocsFiles();
  if (mediaCheck === 'content') await loadContentCheck();
}
