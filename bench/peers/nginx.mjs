// bench/peers/nginx.mjs <folder> <nginx> <buffer>: nginx (C) that stores the body of each PUT as a file of its own, with its DAV
// module. What a server without a language run-time needs for the same bytes: the physical limit in practice.
//
// Fairness: one worker, as every other here is one process; no access log; the body is written to a temporary file on
// the same filesystem and renamed, which is how nginx does it; keep-alive is never cut. Nothing is synced. <buffer> is
// `client_body_buffer_size`: nginx's own default is 16k, and with more it makes fewer, larger writes.
// The pid announced is that of nginx's master: its CPU time is that of master and worker together.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const [, , folder = '.', command = 'nginx', buffer = '16k'] = process.argv;
const START_MS = 5_000;
const POLL_MS = 20;

/** nginx cannot take "any free port" itself. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** A worker that root started would be `nobody`, who may not write here. */
const user = process.getuid?.() === 0 ? 'user root;' : '';

const configuration = (port) => `
${user}
daemon off;
worker_processes 1;
pid ${join(folder, 'pid')};
events { worker_connections 512; }
http {
  access_log off;
  client_max_body_size 0;
  client_body_buffer_size ${buffer};
  client_body_temp_path ${join(folder, 'temp')};
  proxy_temp_path ${join(folder, 'unused')};
  fastcgi_temp_path ${join(folder, 'unused')};
  uwsgi_temp_path ${join(folder, 'unused')};
  scgi_temp_path ${join(folder, 'unused')};
  keepalive_requests 100000000;
  server {
    listen 127.0.0.1:${port};
    location / { root ${join(folder, 'files')}; dav_methods PUT; }
  }
}
`;

async function untilListening(port) {
  for (const giveUpAt = Date.now() + START_MS; Date.now() < giveUpAt; await delay(POLL_MS)) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return;
  }
  throw new Error('nginx does not listen');
}

await mkdir(join(folder, 'files'));
const port = await freePort();
const file = join(folder, 'nginx.conf');
await writeFile(file, configuration(port));
const nginx = spawn(command, ['-c', file, '-p', folder, '-e', 'stderr'], {
  stdio: ['ignore', 'inherit', 'inherit'],
});
process.once('SIGTERM', () => nginx.kill('SIGTERM'));
nginx.once('exit', (code) => process.exit(code ?? 1));
await untilListening(port);
process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}`, pid: nginx.pid })}\n`);
