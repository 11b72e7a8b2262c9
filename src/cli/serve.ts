// cli/serve.ts: runs the server until it is told to stop.
//
// Promises: on a pipe, stdout carries exactly one line, once requests can be served (§8); on a terminal, a banner.
// SIGTERM and SIGINT drain for `grace`, a second one ends at once (rule D4).
// Must not know: argv; it is given a configuration.
import closeWithGrace from 'close-with-grace';
import { pino, type DestinationStream } from 'pino';
import type { Server, ServerOptions } from '../app.ts';
import { ConfigError, type Config } from '../config.ts';
import { startWith, version } from '../index.ts';
import { createLogger } from '../telemetry.ts';

/** Beyond the grace, for closing what is left. */
const CLOSE_MS = 2_000;

type Resolved = Pick<ServerOptions, 'config' | 'sources'>;

export interface Terminal {
  readonly isTTY: boolean;
  print(text: string): void;
}

/** @throws ConfigError also when the port or the data folder is taken: both want another setting */
export async function serve(resolved: Resolved, terminal: Terminal): Promise<void> {
  const { config } = resolved;
  const destination = process.stderr.isTTY ? await forPeople() : pino.destination({ fd: 2, sync: false });
  const logger = createLogger(config.logLevel, destination);
  const server = await start(resolved, logger);
  closeWithGrace({ delay: config.grace + CLOSE_MS, logger: false }, async ({ err, signal }) => {
    if (err !== undefined) logger.fatal({ err }, 'the server ends because of a defect');
    else logger.info({ signal }, 'draining');
    await server.drain(err === undefined ? config.grace : 0);
  });
  terminal.print(terminal.isTTY ? banner(config, server) : readyLine(server));
}

/** Log lines that can be read. Loaded here: only a terminal needs it. */
async function forPeople(): Promise<DestinationStream> {
  const { default: pretty } = await import('pino-pretty');
  return pretty({ destination: 2, sync: true, colorize: true, translateTime: 'HH:MM:ss.l' });
}

async function start(resolved: Resolved, logger: ReturnType<typeof createLogger>): Promise<Server> {
  try {
    return await startWith(resolved, logger);
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
  const port = 'port' in error ? String(error.port) : config.port;
  return new ConfigError(`${config.host}:${port} ${advice}`);
}

/** Whose rights decide what may be used: the storage does not know it. */
function withUser(message: string): string {
  const user = process.getuid?.();
  return user === undefined ? message : message.replace('by the user of the server', `by user ${user}`);
}

function readyLine({ url, adminUrl }: Server): string {
  return JSON.stringify({ event: 'ready', url, adminUrl, pid: process.pid, version });
}

/** What a person sees first: where it is, what is safe, a line to copy. */
export function banner(config: Config, { url, adminUrl }: Pick<Server, 'url' | 'adminUrl'>): string {
  const where = config.storage === 'memory' ? 'in memory, gone when the server ends' : `in ${config.dataDir}`;
  const safety =
    config.storage === 'disk' && config.durability === 'none'
      ? '  Durability none: acknowledged bytes may be lost with the power.\n'
      : '';
  const admin =
    adminUrl === null ? 'off (it needs --admin-token, or --admin-port, beyond loopback)' : `${adminUrl}/docs`;
  return `
  xenonflare-mock ${version}   ${url}
  Stored ${where}. Docs and admin: ${admin}
${safety}
  Try it:

    printf 'hello' | curl -F fileId=my-file -F chunkIndex=0 -F totalChunks=1 -F file=@- ${url}/media/chunks
    curl '${url}/media/chunks?fileId=my-file'

  Ctrl-C stops it.
`;
}
