// helpers/process.ts: runs the server as people do: as a process of its own, from dist/ (`npm run build` creates it).
//
// Promises: no variable of this process's environment configures the server. After each test every process that it started is gone,
// ended by its pid.
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEachTest } from './after-each-test.ts';

const MAIN = fileURLToPath(new URL('../../dist/cli/launch.cjs', import.meta.url));
/** A start or an end that takes longer has failed. */
const PATIENCE_MS = 120_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Ended extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

export interface ServerProcess {
  readonly url: string;
  readonly adminUrl: string;
  readonly port: number;
  readonly pid: number;
  readonly exited: Promise<Exit>;
  stdout(): string;
  stderr(): string;
  /** Sends the signal and does not wait. */
  signal(signal: NodeJS.Signals): void;
  /** Ends it at once. Resolves when it is gone. */
  kill(): Promise<void>;
}

type Child = ChildProcessByStdio<null, Readable, Readable | null>;

const running = new Set<Child>();

afterEachTest(async () => {
  await Promise.all([...running].map(kill));
});

/**
 * Resolves when requests can be served.
 * @param stderr a descriptor that takes the place of the pipe that is read here
 * @throws Error with its output when it ends before that
 */
export async function startProcess(
  flags: readonly string[],
  environment: NodeJS.ProcessEnv = {},
  stderr: 'pipe' | number = 'pipe',
): Promise<ServerProcess> {
  const argv = ['serve', '--port', '0', '--log-level', 'warn', ...flags];
  const { child, output } = launch(argv, environment, stderr);
  const exited = exitOf(child);
  const ready = await Promise.race([readyLine(output, child), exited.then(() => null), patience()]);
  if (ready === null) throw new Error(`it did not start: ${output.stderr}`);
  const { url, adminUrl, pid } = JSON.parse(ready) as { url: string; adminUrl: string; pid: number };
  return {
    url,
    adminUrl,
    pid,
    exited,
    port: Number(new URL(url).port),
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    signal: (signal) => void child.kill(signal),
    kill: () => kill(child),
  };
}

/** A start that is not waited for. */
export function beginProcess(flags: readonly string[]): Pick<ServerProcess, 'exited' | 'stdout' | 'signal'> {
  const { child, output } = launch(['serve', '--port', '0', ...flags], {});
  return {
    exited: exitOf(child),
    stdout: () => output.stdout,
    signal: (signal) => void child.kill(signal),
  };
}

/** A start that is killed before it is over, `afterMs` after it began. */
export async function startAndKill(flags: readonly string[], afterMs: number): Promise<void> {
  const { child } = launch(['serve', '--port', '0', ...flags], {});
  await delay(afterMs);
  await kill(child);
}

/** Runs the command to its end. */
export async function runToEnd(argv: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const { child, output } = launch(argv, environment);
  const exit = await Promise.race([exitOf(child), patience()]);
  if (exit === null) throw new Error(`it did not end: ${output.stdout} ${output.stderr}`);
  return { ...exit, ...output };
}

interface Output {
  stdout: string;
  stderr: string;
}

function launch(
  argv: readonly string[],
  environment: NodeJS.ProcessEnv,
  stderr: 'pipe' | number = 'pipe',
): { child: Child; output: Output } {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(XENONFLARE_MOCK_|NODE_)/.test(name));
  const env = { ...Object.fromEntries(inherited), ...environment };
  const child = spawn(process.execPath, [MAIN, ...argv], { env, stdio: ['ignore', 'pipe', stderr] }) as Child;
  running.add(child);
  const output: Output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  return { child, output };
}

/** After its output has been read to the end. */
async function exitOf(child: Child): Promise<Exit> {
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  running.delete(child);
  return { code, signal };
}

async function readyLine(output: Output, child: Child): Promise<string> {
  while (!output.stdout.includes('\n')) await once(child.stdout, 'data');
  return output.stdout;
}

/** Null when the process did not end in time. */
async function patience(): Promise<null> {
  return delay(PATIENCE_MS, null, { ref: false });
}

async function kill(child: Child): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/** Bytes of its memory that are resident now. Linux. */
export async function residentBytes(pid: number): Promise<number> {
  return statusOf(pid, 'VmRSS');
}

/** The most that was resident since `forgetPeak`. */
export async function peakResidentBytes(pid: number): Promise<number> {
  return statusOf(pid, 'VmHWM');
}

export async function forgetPeak(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, '5');
}

async function statusOf(pid: number, name: string): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
}

/** Bytes that it has read and written so far, of files and of sockets. Linux. */
export async function transferredBytes(pid: number): Promise<number> {
  const io = await readFile(`/proc/${pid}/io`, 'utf8');
  const [, read] = /^rchar: (\d+)$/m.exec(io) ?? [];
  const [, written] = /^wchar: (\d+)$/m.exec(io) ?? [];
  return Number(read) + Number(written);
}

/** How many files, sockets and so on it has open. Linux. */
export async function descriptorCount(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}
