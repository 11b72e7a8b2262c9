// fronts.ts: the ways to the server: nothing between, an nginx that was told no more than where the server is, and one with
// examples/nginx.conf as it stands.
import { readFileSync } from 'node:fs';
import type { Client, Protocol } from './clients.ts';
import { clientOf } from './clients.ts';
import type { Nginx, Site, Tls } from './nginx.ts';

const EXAMPLE = readFileSync(new URL('../../examples/nginx.conf', import.meta.url), 'utf8');

/** Seconds. 60, unless nginx is told otherwise: no test waits for that. */
const READ_TIMEOUT = 1;

function listen(port: number, { certificate, key }: Tls): string {
  return `listen 127.0.0.1:${port} ssl http2; ssl_certificate ${certificate}; ssl_certificate_key ${key};`;
}

/** `proxy_pass`, and whatever else is given. */
export function stock(address: string, directives = ''): Site {
  return (port, tls) => `
  server {
    ${listen(port, tls)}
    location / { proxy_pass http://${address}; proxy_read_timeout ${READ_TIMEOUT}s; ${directives} }
  }`;
}

/** `stock`, with connections to the server that are kept. */
export function keeping(address: string, directives = ''): Site {
  return (port, tls) => {
    const name = `kept_${port}`;
    const kept = 'proxy_http_version 1.1; proxy_set_header Connection "";';
    return `
  upstream ${name} { server ${address}; keepalive 4; }
  ${stock(name, `${kept} ${directives}`)(port, tls)}`;
  };
}

/** @throws Error when the example has not exactly one of what is replaced */
export function recommended(address: string, edit: (text: string) => string = (text) => text): Site {
  return (port, { certificate, key }) =>
    edit(
      [
        ['server 127.0.0.1:4310;', `server ${address};`],
        ['listen 443 ssl http2;', `listen 127.0.0.1:${port} ssl http2;`],
        ['server_name uploads.example.test;', 'server_name localhost;'],
        ['/etc/ssl/certs/uploads.example.test.pem', certificate],
        ['/etc/ssl/private/uploads.example.test.key', key],
        // More than one of it may be in one nginx here.
        ['upstream xenonflare_mock {', `upstream xenonflare_mock_${port} {`],
        ['http://xenonflare_mock;', `http://xenonflare_mock_${port};`],
      ].reduce((text, [from = '', to = '']) => replaceOnce(text, from, to), EXAMPLE),
    );
}

function replaceOnce(text: string, from: string, to: string): string {
  const [before, after, ...more] = text.split(from);
  if (before === undefined || after === undefined || more.length > 0)
    throw new Error(`examples/nginx.conf has ${JSON.stringify(from)} not exactly once`);
  return `${before}${to}${after}`;
}

/** Gives the clients out, and closes them all. */
export class Clients {
  readonly #open = new Set<Client>();

  through({ urls, ca }: Nginx<string>, name: string, protocol: Protocol): Client {
    return this.#keep(clientOf(protocol, { url: urls[name] ?? '', ca }));
  }

  direct(url: string): Client {
    return this.#keep(clientOf('HTTP/1.1', { url }));
  }

  closeAll(): void {
    for (const client of this.#open) client.close();
    this.#open.clear();
  }

  #keep(client: Client): Client {
    this.#open.add(client);
    return client;
  }
}
