// bench/drawing.ts: a Vega-Lite specification becomes an SVG, by the library that bench/peers/ has for it.
//
// Promises: what is in bench/peers/ is installed when it is not there, from a lockfile of its own; the product's own packages
// know nothing of it.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Sources that are run as they are, beside what they need. */
export const PEERS_FOLDER = fileURLToPath(new URL('../bench/peers/', import.meta.url));

const MAX_SVG_BYTES = 64 * 1024 ** 2;

/** @throws Error when npm fails */
export function installPeers(say: (text: string) => void): void {
  if (existsSync(join(PEERS_FOLDER, 'node_modules'))) return;
  say('installing the peers: npm ci --prefix bench/peers');
  const argv = ['ci', '--prefix', PEERS_FOLDER, '--ignore-scripts', '--no-audit', '--no-fund'];
  const { status, error } = spawnSync('npm', argv, { stdio: ['ignore', 2, 2] });
  if (status !== 0)
    throw new Error(`npm ci --prefix bench/peers failed${error === undefined ? '' : `: ${error.message}`}`);
}

/** @throws Error when the chart cannot be drawn */
export function drawSvg(spec: object): string {
  const drawn = spawnSync(process.execPath, [join(PEERS_FOLDER, 'chart.mjs')], {
    input: JSON.stringify(spec),
    encoding: 'utf8',
    maxBuffer: MAX_SVG_BYTES,
  });
  if (drawn.status !== 0) throw new Error(`the chart could not be drawn: ${drawn.stderr}`);
  return drawn.stdout;
}
