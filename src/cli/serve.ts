// cli/serve.ts: runs the server until it is told to stop.
//
// Promises: on a pipe, stdout carries exactly one line, once requests can be served (§8); on a terminal, a banner.
// How it ends is told in ending.ts (rule D4).
// Must not know: argv; it is given a configuration.
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
  /** A parent process holds this one (cli/parent.ts): it is told where the server is, and tells the world. */
  readonly isChild: boolean;
};

/** Where a server is that can serve requests. */
export type Where = Pick<Server, 'url' | 'adminUrl'>;

/** @throws ConfigError also when the port or the data folder is taken: both want another setting */
export async function serve(resolved: Resolved): Promise<void> {
  const { config } = resolved;
  const log = logOf(config);
  const ending = new Ending({ log, graceMs: config.grace });
  if (resolved.isChild) process.once('disconnect', () => ending.orphaned()).channel?.unref();
  const starting = start(resolved, log);
  ending.closes(starting);
  const server = await starting;
  // The log has it that another process has the data folder (rule D3): what is still asked of this one can only be refused.
  void server.lost.then(() => ending.giveUp());
  if (ending.hasBegun) return;
  if (resolved.isChild) {
    const { url, adminUrl } = server;
    process.send?.({ url, adminUrl } satisfies Where);
    return;
  }
  announce(config, server);
}

/** Says once, on stdout, that requests can be served. */
export function announce(config: Config, server: Where): void {
  // Not by `process.stdout`: what it cannot write, it throws at us (rule D7).
  new Output(1).write(
    process.stdout.isTTY ? banner(config, { ...server, version }) : `${readyLine(server)}\n`,
  );
}

/** The log of this process: JSON, or on a terminal lines that can be read. */
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

/** Why the system would not let us listen, as something to change. */
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

/** The admin plane has a port and an address of its own, and a flag that changes them. */
function listened(error: object, { host, port, adminPort }: Config, advice: string): string {
  const taken = 'port' in error ? Number(error.port) : port;
  const isAdmin = taken === adminPort && taken !== port;
  return isAdmin
    ? `127.0.0.1:${taken} ${advice.replaceAll('--port', '--admin-port')}`
    : `${host}:${taken} ${advice}`;
}

/** Whose rights decide what may be used: the storage does not know it. */
function withUser(message: string): string {
  const user = process.getuid?.();
  return user === undefined ? message : message.replace('by the user of the server', `by user ${user}`);
}

function readyLine({ url, adminUrl }: Where): string {
  return JSON.stringify({ event: 'ready', url, adminUrl, pid: process.pid, version });
}
