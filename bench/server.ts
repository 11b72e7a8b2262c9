// bench/server.ts: runs a server under load in a separate process, with a separate folder that is deleted afterwards.
//
// Promises: CPU time and memory are those of the server's process and its children, as Linux counts them; on other systems they
// are null. Our environment does not configure the server. When the bench itself ends, running servers are ended and their
// folders deleted.
// Must not know: the load.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { open, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PEERS_FOLDER } from './drawing.ts';
import { ownCommand } from './own-command.ts';
import { cpuSecondsOf, peakRssOf } from './proc.ts';

export type Durability = 'fsync' | 'none';

export interface ProductOptions {
  readonly durability: Durability;
  readonly hasJournal: boolean;
  /** The data folder, which is kept afterwards. Absent: an empty folder inside the server's folder. */
  readonly dataDir?: string;
}

export interface BenchServer {
  readonly url: string;
  readonly pid: number;
  /** The folder for the server's data and its log. */
  readonly folder: string;
  /** The time from the start of the process to its ready line. */
  readonly startMs: number;
  /** See proc.ts. */
  cpuSeconds(): Promise<number | null>;
  peakRssBytes(): Promise<number | null>;
  /** Ends the process and deletes its folder. @throws Error when it did not end well */
  close(): Promise<void>;
}

const COMMAND = ownCommand();

/** Starts the product as it is deployed: its log is on and goes to a file. */
export function startProduct({ durability, hasJournal, dataDir }: ProductOptions): Promise<BenchServer> {
  const flags = ['--port', '0', '--durability', durability, ...(hasJournal ? [] : ['--no-journal'])];
  return start((folder) => [COMMAND, 'serve', '--data-dir', dataDir ?? join(folder, 'data'), ...flags]);
}

/** Starts a server of bench/peers/ by the name of its file. @param more arguments after the folder */
export function startPeer(name: string, more: readonly string[] = []): Promise<BenchServer> {
  return start((folder) => [join(PEERS_FOLDER, `${name}.mjs`), folder, ...more]);
}

interface Running {
  readonly child: ChildProcess;
  readonly folder: string;
}

const running = new Set<Running>();
process.once('exit', () => {
  for (const { child, folder } of running) {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

async function start(argvIn: (folder: string) => readonly string[]): Promise<BenchServer> {
  const folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-bench-'));
  const log = await open(join(folder, 'log'), 'w');
  const startedAt = performance.now();
  const child = spawn(process.execPath, argvIn(folder), {
    env: environment(),
    stdio: ['ignore', 'pipe', log.fd],
  });
  const entry = { child, folder };
  running.add(entry);
  await log.close();
  const line = await firstLineOf(child);
  const startMs = performance.now() - startedAt;
  if (line === null)
    throw new Error(`the server did not start: ${await readFile(join(folder, 'log'), 'utf8')}`);
  const { url, pid } = JSON.parse(line) as { url: string; pid: number };
  return {
    url,
    pid,
    folder,
    startMs,
    cpuSeconds: () => cpuSecondsOf(pid),
    peakRssBytes: () => peakRssOf(pid),
    close: () => close(entry),
  };
}

/** Null: the process ended without a line. */
async function firstLineOf(child: ChildProcess): Promise<string | null> {
  if (child.stdout === null) return null;
  const lines = createInterface({ input: child.stdout });
  const first = once(lines, 'line').then(([line]) => String(line));
  return Promise.race([first, once(child, 'exit').then(() => null)]);
}

async function close(entry: Running): Promise<void> {
  const { child, folder } = entry;
  const isRunning = child.exitCode === null && child.signalCode === null;
  const gone = isRunning ? once(child, 'exit') : Promise.resolve([]);
  child.kill('SIGTERM');
  await gone;
  const log = await readFile(join(folder, 'log'), 'utf8');
  await rm(folder, { recursive: true, force: true });
  running.delete(entry);
  if (isRunning && child.exitCode === 0) return;
  const how = String(child.exitCode ?? child.signalCode);
  throw new Error(`the server ended with ${how} under load: ${log.slice(-2_000)}`);
}

/** The environment for our server and the peers: production settings. */
function environment(): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('XENONFLARE_MOCK_'));
  return { ...Object.fromEntries(inherited), NODE_ENV: 'production' };
}
