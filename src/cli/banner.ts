// cli/banner.ts: the first text on a terminal: the server's addresses, the place of the data, its safety, commands to copy.
//
// Promises: each address is reachable from the place that the banner names, each command works when pasted, and no key or
// token is shown (rule K5).
import { networkInterfaces } from 'node:os';
import { resolve } from 'node:path';
import type { Server } from '../app.ts';
import type { Config } from '../config/config.ts';
import { visible } from '../core/visible.ts';

type Where = Pick<Server, 'url' | 'adminUrl' | 'version'>;

/** For a server that listens on all addresses: its addresses on this machine and in the network. */
export type Addresses = readonly string[];

const MOST_PATH_CELLS = 200;

export function banner(config: Config, where: Where, addresses: Addresses = addressesOfNetwork()): string {
  const { url, adminUrl } = reachable(where);
  const { port, hostname } = new URL(where.url);
  const lan = isEverywhere(hostname) ? addresses.map((address) => `http://${address}:${port}`) : [];
  const lines = [
    '',
    `  xenonflare-mock ${where.version}   ${url}`,
    ...lan.map((other) => `  In the network:         ${other}`),
    `  Stored ${storageOf(config)}.`,
    `  ${adminOf(config, adminUrl)}`,
    ...(isUnsafe(config) ? ['  Durability none: a power failure may lose acknowledged bytes.'] : []),
    '',
    ...commands(config, url),
    '',
    '  Ctrl-C stops it.',
    '',
  ];
  return `${lines.join('\n')}\n`;
}

function storageOf({ storage, dataDir }: Config): string {
  return storage === 'memory'
    ? 'in memory, gone when the server ends'
    : `in ${visible(dataDir, MOST_PATH_CELLS)}`;
}

function isUnsafe({ storage, durability }: Config): boolean {
  return storage === 'disk' && durability === 'none';
}

function adminOf({ adminToken }: Config, adminUrl: string | null): string {
  if (adminUrl === null)
    return 'Docs and admin: off (beyond loopback they need --admin-token or --admin-port)';
  const needs = 'Calls need the header Authorization: Bearer <the token of --admin-token>.';
  return `Docs and admin: ${adminUrl}/docs${adminToken === undefined ? '' : `\n  ${needs}`}`;
}

function commands(config: Config, url: string): string[] {
  const hasKeys = config.apiKeys.length > 0 || config.apiKeysFile !== undefined;
  const key = hasKeys ? ' -H "X-API-Key: $KEY"' : '';
  return [
    hasKeys && config.apiKeysFile === undefined
      ? '  Try it; the first line asks for one of your API keys:'
      : '  Try it:',
    '',
    ...keyCommand(config),
    `    printf 'hello' | curl${key} -F fileId=my-file \\`,
    `      -F chunkIndex=0 -F totalChunks=1 -F file=@- \\`,
    `      '${url}/media/chunks'`,
    `    curl${key}${hasKeys ? ' \\\n     ' : ''} '${url}/media/chunks?fileId=my-file'`,
  ];
}

/** A command that puts a key into `$KEY`. */
function keyCommand({ apiKeys, apiKeysFile }: Config): string[] {
  if (apiKeysFile !== undefined) {
    const path = `'${resolve(apiKeysFile).replaceAll("'", String.raw`'\''`)}'`;
    return [`    KEY=$(grep -v '^[[:space:]]*\\(#\\|$\\)' ${path} | head -n 1 | tr -d '[:space:]')`];
  }
  return apiKeys.length === 0 ? [] : [`    printf 'API key: '; read -r KEY`];
}

function isEverywhere(hostname: string): boolean {
  return hostname === '0.0.0.0' || hostname === '[::]';
}

/** A server can listen on `0.0.0.0`, but not every client can connect to it. */
function reachable({ url, adminUrl }: Where): Pick<Where, 'url' | 'adminUrl'> {
  const local = (given: string): string =>
    given.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
  return { url: local(url), adminUrl: adminUrl === null ? null : local(adminUrl) };
}

function addressesOfNetwork(): Addresses {
  const all = Object.values(networkInterfaces()).flatMap((interfaces = []) => interfaces);
  return all.filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => address);
}
