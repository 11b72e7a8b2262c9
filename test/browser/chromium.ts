// chromium.ts: the browser: the Chromium of the system, driven by playwright-core, which does not download one.
//
// Promises: it is the Chromium that CHROMIUM names, or else the first one in PATH. Without one the tests fail and say what to do.
// It is ended together with the test file that opened it.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];

/** @throws Error when there is none */
function executablePath(): string {
  const named = process.env['CHROMIUM'];
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const places =
    named === undefined ? NAMES.flatMap((name) => folders.map((dir) => join(dir, name))) : [named];
  const found = places.find(isExecutable);
  if (found !== undefined) return found;
  const where =
    named === undefined ? `none of ${NAMES.join(', ')} is in PATH` : `CHROMIUM=${named} is not there`;
  throw new Error(
    `these tests need a Chromium, and ${where}: install one (Debian: apt-get install chromium) or set CHROMIUM to its path`,
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Call this at the top of a test file; the browser is there when its tests run. */
export function useBrowser(): () => Browser {
  const opened: Browser[] = [];
  beforeAll(async () => {
    // Chromium's sandbox does not work for root, and containers and many CI jobs run as root.
    const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    opened.push(await chromium.launch({ executablePath: executablePath(), args }));
  });
  afterAll(() => Promise.all(opened.map((browser) => browser.close())));
  return () => {
    const [browser] = opened;
    if (browser === undefined) throw new Error('the browser is there in tests only');
    return browser;
  };
}
