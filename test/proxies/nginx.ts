// nginx.ts: runs one nginx of this machine in front of a server of this process, without root rights, with its files in its own
// folder.
//
// Promises: it listens only on 127.0.0.1, on ports that were free. It is ended by its pid, and its folder is removed, whatever the
// tests did. What is missing on this machine is named.
import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from '../helpers/app.ts';

const NGINX = ['nginx', '/usr/sbin/nginx'].find((command) => spawnSync(command, ['-v']).status === 0);
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

/** What this machine lacks for these tests, as a sentence; null: nothing. */
export const MISSING =
  NGINX === undefined || !hasOpenssl
    ? `skipped: this machine has no ${NGINX === undefined ? 'nginx' : 'openssl'} (apt-get install nginx openssl)`
    : null;

if (MISSING !== null) console.warn(MISSING);

/** `nobody`, on Debian. */
const UNPRIVILEGED = 65_534;
const STARTS = 5;

export interface Tls {
  readonly certificate: string;
  readonly key: string;
}

/** The part of a configuration within `http`, for one port. */
export type Site = (port: number, tls: Tls) => string;

export interface Nginx<Name extends string> {
  /** `https://localhost:…` of each site. */
  readonly urls: Readonly<Record<Name, string>>;
  /** A client that trusts this certificate trusts the sites. */
  readonly ca: Buffer;
  /** A line for each request that is over, as `$status $request_method $uri`. */
  accessLog(): Promise<string[]>;
  stop(): Promise<void>;
}

/** @throws Error with its log, when it does not start */
export async function startNginx<Name extends string>(
  sites: Readonly<Record<Name, Site>>,
): Promise<Nginx<Name>> {
  const folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-nginx-'));
  const isRoot = process.getuid?.() === 0;
  const names = Object.keys(sites) as Name[];
  try {
    const tls = await certificateIn(folder);
    if (isRoot) for (const path of [folder, tls.key]) await chown(path, UNPRIVILEGED, UNPRIVILEGED);
    for (let start = 1; ; start += 1) {
      const ports = await freePorts(names.length);
      const config = configOf(
        folder,
        names.map((name, at) => sites[name](ports[at] ?? 0, tls)),
      );
      await writeFile(join(folder, 'nginx.conf'), config);
      const nginx = launch(folder, isRoot);
      const failure = await startOf(nginx, ports, folder);
      if (failure === null) {
        const urls = names.map((name, at) => [name, `https://localhost:${ports[at]}`]);
        return {
          urls: Object.fromEntries(urls) as Record<Name, string>,
          ca: await readFile(tls.certificate),
          accessLog: async () =>
            (await readFile(join(folder, 'access.log'), 'utf8')).split('\n').slice(0, -1),
          stop: async () => {
            await end(nginx);
            await rm(folder, { recursive: true, force: true });
          },
        };
      }
      // Another process has taken a port in the meantime.
      if (start === STARTS || !failure.includes('Address already in use')) throw new Error(failure);
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** What Debian's nginx.conf has in `http`, with every path in the folder. */
function configOf(folder: string, sites: readonly string[]): string {
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 768; }
http {
  log_format short '$status $request_method $uri';
  access_log ${folder}/access.log short;
  ${kinds.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join('\n  ')}
  sendfile on;
  tcp_nopush on;
  types_hash_max_size 2048;
  default_type application/octet-stream;
  gzip on;
${sites.join('\n')}
}
`;
}

/** Its own key, for `localhost`. */
async function certificateIn(folder: string): Promise<Tls> {
  const tls = { certificate: join(folder, 'certificate.pem'), key: join(folder, 'key.pem') };
  await promisify(execFile)('openssl', [
    ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2'.split(' '),
    ...'-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1'.split(' '),
    '-keyout',
    tls.key,
    '-out',
    tls.certificate,
  ]);
  return tls;
}

/** Different ports. All of them are held until all are known. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

function launch(folder: string, isRoot: boolean): ChildProcess {
  const [program, args] = [NGINX ?? 'nginx', ['-c', `${folder}/nginx.conf`, '-e', `${folder}/error.log`]];
  const user = isRoot ? { uid: UNPRIVILEGED, gid: UNPRIVILEGED } : {};
  return spawn(program, args, { stdio: 'ignore', ...user });
}

/** Null when every port is served. If nginx ended before that: what it logged. */
async function startOf(
  nginx: ChildProcess,
  ports: readonly number[],
  folder: string,
): Promise<string | null> {
  for (const port of ports) {
    const isOpen = await eventually(
      async () => (nginx.exitCode === null ? isServed(port) : null),
      (seen) => seen !== false,
    );
    if (isOpen === null) return `nginx ended: ${await readFile(join(folder, 'error.log'), 'utf8')}`;
  }
  return null;
}

function isServed(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
      .on('error', () => resolve(false))
      .on('connect', () => {
        socket.destroy();
        resolve(true);
      });
  });
}

async function end(nginx: ChildProcess): Promise<void> {
  if (nginx.exitCode !== null || nginx.signalCode !== null) return;
  const gone = once(nginx, 'exit');
  nginx.kill('SIGTERM');
  await gone;
}
