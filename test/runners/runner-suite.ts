// runner-suite.ts: the double in a test runner that client teams use. The real runner runs the example, and it passes. As soon as
// the fault of the example does not happen, it fails and says what is missing.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../helpers/app.ts';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const EXAMPLES = join(ROOT, 'examples/runners');
export const TIMEOUT_MS = 300_000;

export interface Runner {
  readonly name: string;
  readonly file: string;
  /** What Node is told to run `file`, and nothing else, in `folder`. */
  arguments(folder: string): Promise<string[]>;
  /** How many tests passed and failed, as it prints that. */
  readonly passed: RegExp;
  readonly failed: RegExp;
}

/** How both of those that report in JSON print it. */
export const IN_JSON = { passed: /"numPassedTests":(\d+)/, failed: /"numFailedTests":(\d+)/ };

interface Run {
  readonly status: number | null;
  readonly passed: number;
  readonly failed: number;
  /** All that was printed. */
  readonly text: string;
}

export async function runIn(folder: string, runner: Runner): Promise<Run> {
  if (!existsSync(join(ROOT, 'dist/index.js')))
    throw new Error('the examples use the built package: npm run build');
  // Without this the runner would take itself for a part of the runner that runs this suite.
  const own = Object.entries(process.env).filter(([name]) => !/^(VITEST|JEST|NODE_)/.test(name));
  const options = { cwd: folder, env: Object.fromEntries(own), timeout: TIMEOUT_MS };
  const given = await runner.arguments(folder);
  return new Promise((resolve) => {
    const child = execFile(process.execPath, given, options, (_error, stdout, stderr) => {
      const [passed, failed] = [runner.passed, runner.failed].map((count) => Number(count.exec(stdout)?.[1]));
      resolve({ status: child.exitCode, passed: passed ?? 0, failed: failed ?? 0, text: stdout + stderr });
    });
  });
}

/** The example as a client team has it: beside the uploader, with the packages that it imports in node_modules. */
export async function projectWith(file: string, change: (source: string) => string): Promise<string> {
  const project = await temporaryFolder();
  const [folder, packages] = [join(project, 'tests'), join(project, 'node_modules')];
  await Promise.all([mkdir(folder), mkdir(packages)]);
  await symlink(ROOT, join(packages, 'xenonflare-mock'), 'dir');
  await symlink(join(ROOT, 'node_modules/vitest'), join(packages, 'vitest'), 'dir');
  await copyFile(join(ROOT, 'examples/uploader.mjs'), join(project, 'uploader.mjs'));
  await writeFile(join(folder, file), change(await readFile(join(EXAMPLES, file), 'utf8')));
  return folder;
}

function withoutItsRule(source: string): string {
  const changed = source.replace(/^ *server\.rules\.add\(.*\n/m, '');
  expect(changed).not.toBe(source);
  return changed;
}

export function runnerSuite(runner: Runner): void {
  describe(`the example for ${runner.name}`, () => {
    it('passes', { timeout: TIMEOUT_MS }, async () => {
      const run = await runIn(EXAMPLES, runner);
      expect(run, run.text).toMatchObject({ status: 0, passed: 1, failed: 0 });
    });

    it('fails when the answer is not lost, and says so', { timeout: TIMEOUT_MS }, async () => {
      const run = await runIn(await projectWith(runner.file, withoutItsRule), runner);
      expect(run, run.text).toMatchObject({ status: 1, passed: 0, failed: 1 });
      for (const line of ['FAIL: 1 check failed', 'expected: outcome fault-reset', 'actual: it never came'])
        expect(run.text).toContain(line);
    });
  });
}
