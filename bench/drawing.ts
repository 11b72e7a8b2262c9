// bench/drawing.ts: a Vega-Lite specification becomes an SVG, by the library that bench/peers/ has for it.
//
// Promises: what bench/peers/ needs is installed when it is not there, by tools/install.mjs; the product's own packages know
// nothing of it.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { inRepository } from './root.ts';

/** Sources that are run as they are, beside what they need. */
export const PEERS_FOLDER = inRepository('bench/peers/');

const MAX_SVG_BYTES = 64 * 1024 ** 2;

/** @throws Error when npm fails, which has said why */
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
