// cli/demo-server.ts: a server in a child process, which the demo kills and starts again.
//
// Promises: `startDemoServer` resolves when requests can be served. The caller's environment and working folder do not
// configure the child.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** From dist/, where the command is one file. */
const MAIN = fileURLToPath(new URL('./cli/launch.cjs', import.meta.url));

export interface DemoServer {
  readonly url: string;
  readonly adminUrl: string;
  readonly pid: number;
  /** Resolves when the process is gone. */
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
}

interface ReadyLine {
  readonly url: string;
  readonly adminUrl: string;
  readonly pid: number;
}

/**
 * @param abandoned kills the server at once, even while it starts
 * @throws Error with the server's output when the server ends before it is ready
 */
export async function startDemoServer(dataDir: string, abandoned: AbortSignal): Promise<DemoServer> {
  const flags = ['--port', '0', '--storage', 'disk', '--durability', 'fsync', '--data-dir', dataDir];
  const child = spawn(process.execPath, [MAIN, 'serve', ...flags, '--log-level', 'warn'], {
    cwd: dataDir,
    env: environmentWithoutOurs(),
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: abandoned,
    killSignal: 'SIGKILL',
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4_000)));
  const lines = createInterface({ input: child.stdout });
  const line = await Promise.race([
    once(lines, 'line').then(([first]) => String(first)),
    once(child, 'exit').then(() => null),
  ]);
  if (line === null) throw new Error(`the server ended before it was ready. It said: ${said.trim()}`);
  const { url, adminUrl, pid } = JSON.parse(line) as ReadyLine;
  return { url, adminUrl, pid, kill: (signal) => end(child, signal) };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

function environmentWithoutOurs(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('XENONFLARE_MOCK_')),
  );
}
