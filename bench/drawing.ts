// bench/drawing.ts: turns a Vega-Lite specification into an SVG with the library in bench/peers/.
//
// Promises: the packages of bench/peers/ are installed by tools/install.mjs when they are missing. They are not among the
// packages of the product.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { inRepository } from './root.ts';

/** The folder of sources that run without a build, with their packages. */
export const PEERS_FOLDER = inRepository('bench/peers/');

const MAX_SVG_BYTES = 64 * 1024 ** 2;

/** @throws Error when npm fails; npm has then printed the reason */
export function installPeers(): void {
  const argv = [inRepository('tools/install.mjs'), 'bench/peers'];
  const { status } = spawnSync(process.execPath, argv, { stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error('the packages of bench/peers could not be installed');
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
