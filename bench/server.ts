// bench/server.ts: the server under load: a process of its own, with a data folder of its own that is gone afterwards.
//
// Promises: CPU time and memory are those of the server's process, as Linux counts them; elsewhere they are null.
// Must not know: the load.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { open, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { cpuSecondsOf, peakRssOf } from './proc.ts';

export type Durability = 'fsync' | 'none';
/** The others are references to compare with: see reference-server.ts. */
export type ServerKind = 'product' | 'discard' | 'pipe';

export interface BenchServer {
  readonly url: string;
  /** See proc.ts. */
  cpuSeconds(): Promise<number | null>;
  peakRssBytes(): Promise<number | null>;
  /** Ends the process and deletes its folder. @throws Error when it did not end well */
  close(): Promise<void>;
}

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const REFERENCE = fileURLToPath(new URL('./reference-server.js', import.meta.url));

export async function startServer(kind: ServerKind, durability: Durability): Promise<BenchServer> {
  const folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-bench-'));
  // The log is on, as it is when deployed, and goes to a file.
  const log = await open(join(folder, 'log'), 'w');
  const flags = ['serve', '--port', '0', '--data-dir', join(folder, 'data'), '--durability', durability];
  const command = kind === 'product' ? [MAIN, ...flags] : [REFERENCE, kind, folder];
  const child = spawn(process.execPath, command, {
    env: environmentWithoutOurs(),
    stdio: ['ignore', 'pipe', log.fd],
  });
  await log.close();
  const line = await firstLineOf(child);
  if (line === null)
    throw new Error(`the server did not start: ${await readFile(join(folder, 'log'), 'utf8')}`);
  const { url, pid } = JSON.parse(line) as { url: string; pid: number };
  return {
    url,
    cpuSeconds: () => cpuSecondsOf(pid),
    peakRssBytes: () => peakRssOf(pid),
    close: () => close(child, folder),
  };
}

/** Null: it ended without one. */
async function firstLineOf(child: ChildProcess): Promise<string | null> {
  if (child.stdout === null) return null;
  const lines = createInterface({ input: child.stdout });
  const first = once(lines, 'line').then(([line]) => String(line));
  return Promise.race([first, once(child, 'exit').then(() => null)]);
}

async function close(child: ChildProcess, folder: string): Promise<void> {
  const isRunning = child.exitCode === null && child.signalCode === null;
  const gone = isRunning ? once(child, 'exit') : Promise.resolve([]);
  child.kill('SIGTERM');
  await gone;
  const log = await readFile(join(folder, 'log'), 'utf8');
  await rm(folder, { recursive: true, force: true });
  if (isRunning && child.exitCode === 0) return;
  const how = String(child.exitCode ?? child.signalCode);
  throw new Error(`the server ended with ${how} under load: ${log.slice(-2_000)}`);
}

function environmentWithoutOurs(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('XENONFLARE_MOCK_')),
  );
}
