// lifecycle/late-loads.ts: loads, before the first request, all files that only requests need (rule D8). Otherwise a request
// could fail because the package was replaced meanwhile, or because the process has no free file descriptor.
import { readDocsFiles } from '../docs/files.ts';
import type { Config } from '../config/config.ts';
import { readSources } from '../contract/document.ts';
import { loadContentCheck } from '../media/media-check.ts';

/** @throws Error when a file of the package is missing */
export async function loadLate({ mediaCheck }: Pick<Config, 'mediaCheck'>): Promise<void> {
  readSources();
  readDocsFiles();
  if (mediaCheck === 'content') await loadContentCheck();
}
