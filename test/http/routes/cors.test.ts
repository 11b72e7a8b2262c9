// routes/cors.test.ts: pages of other origins.
import { describe, expect, it } from 'vitest';
import { loadContract } from '../../../src/contract/contract.ts';
import { ask, openTestServer } from '../../helpers/app.ts';

describe('pages of other origins (CORS)', () => {
  const preflight = {
    method: 'OPTIONS',
    headers: {
      origin: 'https://app.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'x-api-key,content-type',
    },
  };
  const promised = loadContract().operations.map(({ path }) =>
    path.replace('{id}', '0123456789abcdef01234567'),
  );

  it.each([...new Set(promised)])(
    'may ask whether they may call %s, and are told yes, without a key',
    async (path) => {
      const server = await openTestServer({ apiKeys: ['k'] });
      for (const prefix of ['', '/api/v1']) {
        const answer = await ask(server, `${prefix}${path}`, preflight);
        expect([answer.status, answer.text]).toEqual([204, '']);
        expect(answer.headers.get('access-control-allow-origin')).toBe('https://app.example');
        expect(answer.headers.get('access-control-allow-credentials')).toBe('true');
        expect(answer.headers.has('content-length'), 'RFC 9110 §8.6').toBe(false);
        expect(answer.headers.get('access-control-allow-methods')).toBe('GET, POST, OPTIONS');
        expect(answer.headers.get('access-control-allow-headers')).toBe('x-api-key,content-type');
        expect(answer.headers.get('access-control-max-age')).toBe('600');
      }
    },
  );

  it('may read answers, refusals included, and the headers that matter', async () => {
    const server = await openTestServer();
    const headers = { origin: 'https://app.example' };
    for (const answer of [
      await ask(server, '/media/chunks?fileId=f', { headers }),
      await ask(server, '/profiles', { headers }),
      await ask(server, '/media/chunks', { headers, method: 'POST' }),
    ]) {
      expect(answer.headers.get('access-control-allow-origin')).toBe('https://app.example');
      expect(answer.headers.get('access-control-allow-credentials'), 'withCredentials works').toBe('true');
      expect(answer.headers.get('vary')).toContain('Origin');
      expect(answer.headers.get('access-control-expose-headers')).toBe(
        'X-Request-Id, Retry-After, Allow, WWW-Authenticate, X-Mock-Fault',
      );
    }
  });

  it('may read that there is no such route, or no such method: it is no trouble with CORS', async () => {
    const server = await openTestServer({ corsOrigin: 'https://app.example,https://other.example' });
    const seen = async (path: string, origin: string): Promise<unknown[]> => {
      const { status, headers } = await ask(server, path, { headers: { origin } });
      return [status, headers.get('access-control-allow-origin'), headers.get('vary')];
    };
    for (const prefix of ['', '/api/v1']) {
      expect(await seen(`${prefix}/media/chunk`, 'https://app.example')).toEqual([
        404,
        'https://app.example',
        'Origin',
      ]);
      expect(await seen(`${prefix}/media/videos`, 'https://other.example')).toEqual([
        405,
        'https://other.example',
        'Origin',
      ]);
      expect(await seen(`${prefix}/media/videos`, 'https://evil.example')).toEqual([405, null, 'Origin']);
    }
    const any = await openTestServer();
    const { headers } = await ask(any, '/media/videos');
    expect([headers.get('access-control-allow-origin'), headers.get('vary')]).toEqual(['*', 'Origin']);
    expect(headers.get('access-control-expose-headers')).toContain('Allow');
  });

  it('beyond --cors-origin are told nothing', async () => {
    const server = await openTestServer({ corsOrigin: 'https://app.example,https://other.example' });
    const allowed = async (origin: string): Promise<string | null> =>
      (await ask(server, '/media/chunks?fileId=f', { headers: { origin } })).headers.get(
        'access-control-allow-origin',
      );
    expect(await allowed('https://app.example')).toBe('https://app.example');
    expect(await allowed('https://other.example')).toBe('https://other.example');
    expect(await allowed('https://evil.example')).toBeNull();
    const answer = await ask(server, '/media/chunks', {
      ...preflight,
      headers: { ...preflight.headers, origin: 'https://evil.example' },
    });
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('are told nothing of the admin plane: not by a preflight, not by an answer', async () => {
    const server = await openTestServer();
    for (const path of [
      '/__admin/health',
      '/__admin/uploads',
      '/__admin/uploads/f',
      '/__admin/rules',
      '/__admin/nothing',
    ]) {
      for (const asked of [preflight, { headers: preflight.headers }, { method: 'OPTIONS' }]) {
        const answer = await ask(server, path, asked);
        expect(answer.headers.get('access-control-allow-origin'), `${asked.method} ${path}`).toBeNull();
        expect(answer.headers.get('access-control-allow-methods')).toBeNull();
        if (asked.method === 'OPTIONS') expect(answer.status).toBeGreaterThanOrEqual(400);
      }
    }
  });

  it('an OPTIONS that is no preflight is told the methods of the path, or that there is none', async () => {
    const server = await openTestServer();
    for (const prefix of ['', '/api/v1']) {
      const known = await ask(server, `${prefix}/media/chunks`, { method: 'OPTIONS' });
      expect([known.status, known.headers.get('allow')]).toEqual([204, 'GET, HEAD, POST, OPTIONS']);
      expect(known.headers.has('content-length')).toBe(false);
      const unknown = await ask(server, `${prefix}/nope`, { method: 'OPTIONS' });
      expect([unknown.status, unknown.body.error]).toEqual([404, 'not_found']);
    }
    // A page sends a preflight before it sends a key to a mistyped path. If the preflight were refused, the page could not read
    // that there is no such path.
    expect((await ask(server, '/nope', preflight)).status).toBe(204);
  });
});
