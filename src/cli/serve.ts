// cli/serve.ts: runs the server until it is told to stop.
//
// Promises: on a pipe, stdout gets exactly one line, when requests can be served (§8). On a terminal it gets a banner.
// ending.ts decides how the process ends (rule D4).
import type { Server, ServerOptions } from '../app.ts';
import { ConfigError, type Config } from '../config/config.ts';
import { startWith, version } from '../index.ts';
import { Output } from '../telemetry/output.ts';
import { openLog, type Log } from '../telemetry/telemetry.ts';
import { banner } from './banner.ts';
import { Ending } from './ending.ts';
import { killSelf } from './kill.ts';
import { isColoured } from './styles.ts';
import { TerminalLines } from './terminal-lines.ts';

export type Resolved = Pick<ServerOptions, 'config' | 'sources'> & {
  /** A parent process runs this one (cli/parent.ts). This process reports its address to the parent, which prints it. */
  readonly isChild: boolean;
};

/** The addresses of a server that is ready. */
export type Where = Pick<Server, 'url' | 'adminUrl'>;

/** @throws ConfigError also when the port or the data folder is in use: both need another setting */
export async function serve(resolved: Resolved): Promise<void> {
  const { config } = resolved;
  const log = logOf(config);
  const ending = new Ending({ log, graceMs: config.grace });
  if (resolved.isChild) process.once('disconnect', () => ending.orphaned()).channel?.unref();
  const starting = start(resolved, log);
  ending.closes(starting);
  const server = await starting;
  // Another process took over the data folder (rule D3). The log says so already, and every further request would be refused.
  void server.lost.then(() => ending.giveUp());
  if (ending.hasBegun) return;
  if (resolved.isChild) {
    const { url, adminUrl } = server;
    process.send?.({ url, adminUrl } satisfies Where);
    return;
  }
  announce(config, server);
}

/** Prints once to stdout that requests can be served. */
export function announce(config: Config, server: Where): void {
  // `process.stdout` would throw when it cannot write (rule D7).
  new Output(1).write(
    process.stdout.isTTY ? banner(config, { ...server, version }) : `${readyLine(server)}\n`,
  );
}

/** The log of this process: JSON, or readable lines on a terminal. */
export function logOf({ logLevel }: Config): Log {
  const { stderr, env } = process;
  if (!stderr.isTTY) return openLog(logLevel);
  const lines = new TerminalLines({
    columns: () => stderr.columns || 80,
    isColoured: isColoured(stderr, env),
    isVerbose: logLevel === 'debug' || logLevel === 'trace',
  });
  return openLog(logLevel, (line) => lines.format(line));
}

async function start(resolved: Resolved, log: Log): Promise<Server> {
  try {
    return await startWith({ ...resolved, crash: killSelf }, log);
  } catch (error) {
    throw asConfigError(error, resolved.config);
  }
}

/** What a person can change when the system does not let the server listen. */
const LISTEN_ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use; stop what listens there, take another --port, or --port 0 for a free one',
  EACCES: 'may not be listened on by this user; take a --port above 1023',
  EADDRNOTAVAIL: 'is not an address of this machine; take another --host',
  ENOTFOUND: 'is not an address of this machine; take another --host',
};

function asConfigError(error: unknown, config: Config): unknown {
  if (!(error instanceof Error)) return error;
  if (error.name === 'FolderInUse') return new ConfigError(error.message);
  if (error.name === 'DataFolderUnusable') return new ConfigError(withUser(error.message));
  const code = 'code' in error && 'syscall' in error ? String(error.code) : '';
  const advice = LISTEN_ADVICE[code];
  if (advice === undefined || !('syscall' in error && /listen|getaddrinfo/.test(String(error.syscall))))
    return error;
  return new ConfigError(listened(error, config, advice));
}

/** The admin plane has its own port and address, and its own flag to change them. */
function listened(error: object, { host, port, adminPort }: Config, advice: string): string {
  const taken = 'port' in error ? Number(error.port) : port;
  const isAdmin = taken === adminPort && taken !== port;
  return isAdmin
    ? `127.0.0.1:${taken} ${advice.replaceAll('--port', '--admin-port')}`
    : `${host}:${taken} ${advice}`;
}

/** Names the user whose rights apply. The storage does not know that user. */
function withUser(message: string): string {
  const user = process.getuid?.();
  return user === undefined ? message : message.replace('by the user of the server', `by user ${user}`);
}

function readyLine({ url, adminUrl }: Where): string {
  return JSON.stringify({ event: 'ready', url, adminUrl, pid: process.pid, version });
}
