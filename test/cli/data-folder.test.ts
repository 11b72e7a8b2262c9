// data-folder.test.ts: what a person sees on the command line when the data folder cannot be used (§8).
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runToEnd } from '../helpers/process.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-unusable-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it('ends the command with 2 and one line that names the setting and what to do (§8.9)', async () => {
  const file = join(folder, 'file');
  await writeFile(file, 'x');
  const format = join(folder, 'format');
  await writeFile(format, 'xenonflare-mock data folder, format 2\n');
  for (const [path, advice] of [
    [file, 'is not a folder; take another'],
    [folder, 'format 2.* use another folder'],
  ] as const) {
    const { code, stderr, stdout } = await runToEnd(['serve', '--port', '0', '--data-dir', path]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^xenonflare-mock: --data-dir ${path} .*${advice}.*\n$`));
  }
});
