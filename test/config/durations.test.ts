// config/durations.test.ts: every duration setting works as documented, or is refused by its name (behaviour §7).
import { connect } from 'node:net';
import { once } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError, resolveConfig } from '../../src/config/config.ts';
import { flagOf, SETTING_NAMES, SETTINGS } from '../../src/config/settings.ts';
import { openTestServer } from '../helpers/app.ts';
import { runToEnd } from '../helpers/process.ts';

const DURATIONS = SETTING_NAMES.filter((name) => SETTINGS[name].kind === 'duration');
const MAX_TIMER_MS = 2 ** 31 - 1;

describe('a duration setting (§7.7)', () => {
  it.each(DURATIONS)('%s is taken as it is, or refused with its name and its range', (name) => {
    const any = fc.oneof(
      fc.maxSafeNat(),
      fc.constantFrom(0, 1, MAX_TIMER_MS - 1, MAX_TIMER_MS, MAX_TIMER_MS + 1, Number.MAX_SAFE_INTEGER),
    );
    fc.assert(
      fc.property(any, (ms) => {
        try {
          const { config } = resolveConfig([{ source: 'flag', values: { [name]: `${ms}ms` } }]);
          expect(config[name]).toBe(ms);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          expect((error as Error).message).toContain(`${flagOf(name)} (flag): got "${ms}ms"`);
          expect((error as Error).message).toMatch(/expected a duration from \d+m?s to \d+d/);
        }
      }),
    );
  });

  it('is among them', () => expect(DURATIONS).toContain('idleTimeout'));
});

const FORM = ['fileId', 'chunkIndex', 'totalChunks', 'file']
  .map(
    (name, i) =>
      `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${['f', 0, 1, 'bytes'][i]}\r\n`,
  )
  .join('')
  .concat('--b--\r\n');

/** Sends half of a chunk, is silent for a moment, and sends the rest. Resolves to the status line. */
async function sendWithPause(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8');
  socket.write(
    `POST /media/chunks HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: ${FORM.length}\r\n\r\n${FORM.slice(0, 200)}`,
  );
  const pause = setTimeout(() => socket.write(FORM.slice(200)), 60);
  const [answer] = (await once(socket, 'data')) as [string];
  clearTimeout(pause);
  socket.destroy();
  return answer.slice(0, answer.indexOf('\r\n'));
}

describe('a server (§7.7)', () => {
  it.each([0, MAX_TIMER_MS + 1, 720 * 3600_000, 36_500 * 86_400_000])(
    'with an idle time-out of %i ms waits for a body that pauses',
    async (idleTimeout) => {
      const server = await openTestServer({ idleTimeout });
      expect(await sendWithPause(Number(new URL(server.url).port))).toBe('HTTP/1.1 200 OK');
    },
  );

  it.each([0, 301_000, MAX_TIMER_MS + 1, 36_500 * 86_400_000])(
    'with a header time-out and a keep-alive of %i ms starts and answers',
    async (headerTimeout) => {
      const server = await openTestServer({
        headerTimeout,
        keepAliveTimeout: Math.min(headerTimeout, 24 * 86_400_000),
      });
      expect((await fetch(`${server.url}/media/chunks?fileId=f`)).status).toBe(200);
    },
  );

  it('with a header time-out ends a connection that sends none', async () => {
    const server = await openTestServer({ headerTimeout: 50 });
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1').setEncoding('utf8');
    socket.write('GET /media/chunks HTTP/1.1\r\n');
    const [answer] = (await once(socket, 'data')) as [string];
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    socket.destroy();
  });

  it('is not started with a grace that no timer can wait for: exit 2, the name and the range', async () => {
    const { code, stderr } = await runToEnd(['serve', '--port', '0', '--grace', '720h']);
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining('--grace (flag): got "720h"; expected a duration from 0s to 24d'),
    ]);
  });
});
