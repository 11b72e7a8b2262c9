// helpers/namespaced.ts: runs the server in its own pid namespace, as in a container. There it is process 1, and it shares the host
// name.
//
// Only root may create such a namespace: `namespaceRefusal` says whether this process can, and why not. After each test every
// process that it started is gone.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEachTest } from './after-each-test.ts';

const MAIN = fileURLToPath(new URL('../../dist/cli/launch.cjs', import.meta.url));
const UNSHARE = ['--pid', '--fork', '--mount-proc', '--kill-child'];

/** Null: this process can create one. */
export const namespaceRefusal: string | null = probe();

export interface NamespacedServer {
  /** Null: the server ended before it was ready. */
  readonly url: string | null;
  readonly exitCode: Promise<number | null>;
  stderr(): string;
  /** Sends the signal to the server itself, not to the process that holds its namespace. */
  signal(signal: NodeJS.Signals): void;
}

const running = new Set<ChildProcess>();

afterEachTest(async () => {
  await Promise.all(
    [...running].map(async (child) => {
      const exited = once(child, 'exit');
      process.kill(innermost(child.pid ?? 0), 'SIGKILL');
      child.kill('SIGKILL');
      await exited;
    }),
  );
});

/** Resolves when the server serves or has ended. */
export async function startNamespaced(...flags: string[]): Promise<NamespacedServer> {
  const serve = [process.execPath, MAIN, 'serve', '--port', '0', '--log-level', 'warn', ...flags];
  const child = spawn('unshare', [...UNSHARE, ...serve], { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exitCode = once(child, 'close').then(([code]) => {
    running.delete(child);
    return code as number | null;
  });
  const ready = once(child.stdout, 'data').then(([line]) => String(line));
  const line = await Promise.race([ready, exitCode.then(() => null)]);
  return {
    url: line === null ? null : (JSON.parse(line) as { url: string }).url,
    exitCode,
    stderr: () => stderr,
    signal: (signal) => void process.kill(innermost(child.pid ?? 0), signal),
  };
}

function innermost(pid: number): number {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  const [first] = text.split(' ');
  return first === undefined || first === '' ? pid : innermost(Number(first));
}

function probe(): string | null {
  if (process.platform !== 'linux') return 'pid namespaces are Linux’s';
  const { status, stderr, error } = spawnSync('unshare', [...UNSHARE, 'true'], { encoding: 'utf8' });
  return status === 0 ? null : `unshare: ${(error?.message ?? stderr).trim()}`;
}
