// deep/demo-picture.test.ts: docs/demo.svg shows what `npm run demo` prints, but for the figures of its run.
//
// `RECORD_DEMO=1 npm run test:deep -- demo-picture` records a new session.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { readPage } from '../docs/rules.ts';
import { linesOf, pictureOf } from '../docs/terminal-picture.ts';

const PICTURE = new URL('../../docs/demo.svg', import.meta.url);
const COMMAND = fileURLToPath(new URL('../../dist/cli/launch.cjs', import.meta.url));
const TITLE =
  'The output of npm run demo: a server is killed in the middle of an upload, and nothing is lost';

it('docs/demo.svg shows what the demo prints, but for the figures of its run', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [COMMAND, 'demo'], { timeout: 240_000 });
  const session = ['$ npm run demo', '', ...stdout.trimEnd().split('\n')];
  if (process.env['RECORD_DEMO'] === '1') writeFileSync(PICTURE, pictureOf(TITLE, session));
  expect(linesOf(readPage('docs/demo.svg')).map(withoutFigures)).toEqual(session.map(withoutFigures));
});

/** Ports, sizes, times, digests and ids. */
function withoutFigures(line: string): string {
  return line
    .replaceAll(/[\da-f]{16,}/g, '#')
    .replaceAll(/[\d.,]*\d/g, '#')
    .replaceAll(/ +#/g, ' #');
}
