// global-setup.ts: what all sender tests share: two server processes from dist/, the examples beside the packages that they import,
// the Go programs, built once, and a sentence for every sender that this machine does not have.
//
// Promises: both servers are ended by their pid and their folders removed, however the tests went.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';
import { FULL_KEY, go, KEY, SENDERS, sentenceOf } from './senders.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PACKAGES = fileURLToPath(new URL('node_modules', import.meta.url));

declare module 'vitest' {
  interface ProvidedContext {
    /** Every key is good. */
    readonly openUrl: string;
    /** Two keys are good, and the limits are small, so this server refuses. */
    readonly strictUrl: string;
    /** For whatever a test writes. The programs written in Go are there, and examples/senders as `examples`. */
    readonly folder: string;
  }
}

/** A thousand chunks come, and no power failure is tested. */
const OPEN = ['--durability', 'none'];
const STRICT = [
  '--api-keys',
  `${KEY},${FULL_KEY}`,
  '--max-file-size',
  '1MiB',
  '--idle-timeout',
  '3s',
  '--max-open-uploads',
  '2',
];

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-senders-'));
  const servers: ChildProcess[] = [];
  const tearDown = async (): Promise<void> => {
    await Promise.all(servers.map(end));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    for (const sender of SENDERS) if (sender.missing !== null) console.warn(sentenceOf(sender));
    const start = (name: string, flags: readonly string[]): Promise<string> => {
      const server = launch([...flags, '--data-dir', join(folder, name)]);
      servers.push(server);
      return urlOf(server);
    };
    const [openUrl, strictUrl] = await Promise.all([
      start('open', OPEN),
      start('strict', STRICT),
      buildGo(folder),
      copyExamples(join(folder, 'examples')),
    ]);
    project.provide('openUrl', openUrl);
    project.provide('strictUrl', strictUrl);
    project.provide('folder', folder);
  } catch (error) {
    await tearDown();
    throw error;
  }
  return tearDown;
}

function launch(flags: readonly string[]): ChildProcess {
  const own = Object.entries(process.env).filter(([name]) => !/^(XENONFLARE_MOCK_|NODE_)/.test(name));
  const argv = [join(ROOT, 'dist/cli/launch.cjs'), 'serve', '--port', '0', '--log-level', 'error', ...flags];
  return spawn(process.execPath, argv, {
    env: Object.fromEntries(own),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function urlOf(server: ChildProcess): Promise<string> {
  if (server.stdout === null) throw new Error('the server has no output');
  for await (const line of createInterface(server.stdout)) return (JSON.parse(line) as { url: string }).url;
  throw new Error('the server ended before it was ready');
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const gone = once(server, 'exit');
  server.kill();
  await gone;
}

/** As they stand, with the packages that they import in node_modules, as whoever copies one has it. */
async function copyExamples(folder: string): Promise<void> {
  await cp(join(ROOT, 'examples/senders'), folder, { recursive: true });
  await symlink(PACKAGES, join(folder, 'node_modules'), 'dir');
}

/** The example and the driver. Its standard library is compiled once for a machine: that takes its time. */
async function buildGo(folder: string): Promise<void> {
  if (go === null) return;
  for (const program of ['examples/senders/upload.go', 'test/senders/drivers/send.go'])
    await promisify(execFile)(go, ['build', '-o', `${folder}/`, join(ROOT, program)]);
}
