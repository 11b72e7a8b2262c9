// http/server.test.ts: where the server listens.
import dns from 'node:dns';
import { connect } from 'node:net';
import { afterEach, expect, it, vi } from 'vitest';
import { openTestServer } from '../helpers/app.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

/** As on a machine whose `localhost` has two addresses, whatever this one's has. */
function nameBoth(): void {
  const lookup = dns.lookup as (...all: unknown[]) => void;
  vi.spyOn(dns, 'lookup').mockImplementation(((name: string, ...rest: unknown[]) => {
    const done = rest.at(-1) as (...all: unknown[]) => void;
    if (name !== 'localhost') return lookup(name, ...rest);
    const [first, second] = [
      { address: '127.0.0.1', family: 4 },
      { address: '::1', family: 6 },
    ];
    return Object(rest[0])['all'] === true
      ? done(null, [first, second])
      : done(null, first.address, first.family);
  }) as never);
}

function isListening(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const tell = (isOpen: boolean) => (): void => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once('connect', tell(true)).once('error', tell(false));
  });
}

it('localhost is one of its addresses: another would have a server of its own, which nothing drains', async () => {
  nameBoth();
  const { port, url } = await openTestServer({ host: 'localhost' });
  const isOpen = [await isListening('127.0.0.1', port), await isListening('::1', port)];
  expect(isOpen).toEqual([true, false]);
  expect(url).toBe(`http://127.0.0.1:${port}`);
});
