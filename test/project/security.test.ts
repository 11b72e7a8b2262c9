// project/security.test.ts: the promises of SECURITY.md that no other test checks.
import { readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ask, openTestServer, sendAll, sendChunk, temporaryFolder } from '../helpers/app.ts';
import { expectCitations, rowsOf } from '../helpers/citations.ts';
import { startProcess } from '../helpers/process.ts';

describe('SECURITY.md', () => {
  const rows = rowsOf(readFileSync(new URL('../../SECURITY.md', import.meta.url), 'utf8'), 'threat');

  it('has a table of threats', () => expect(rows.length).toBeGreaterThan(20));

  it.each(rows.map(([threat = '', against = '', proof = '', ...more]) => ({ threat, against, proof, more })))(
    'names what stands against a threat, and tests that exist: $threat',
    ({ against, proof, more }) => {
      expect(more).toEqual([]);
      expect(against).not.toBe('');
      expectCitations(proof);
      expect(proof === '—' && !against.includes('`npm audit`')).toBe(false);
    },
  );
});

describe('what a client chose', () => {
  const FORGED = 'a\n{"level":50,"msg":"forged"}\r\n\u001b[31m\u2028b';

  it('makes no line of its own in the log, and no control character gets there', async () => {
    const server = await startProcess(['--storage', 'memory', '--log-level', 'info']);
    await sendChunk(server, { fileId: FORGED });
    await ask(server, `/media/chunks?fileId=${encodeURIComponent(FORGED)}`);
    await ask(server, `/media/videos/${encodeURIComponent(FORGED)}`, {
      key: FORGED.replaceAll(/[^ -~]/g, ''),
    });
    server.signal('SIGTERM');
    await server.exited;
    const lines = server.stderr().trimEnd().split('\n');
    expect(lines.filter((line) => line.includes('"msg":"request"'))).toHaveLength(3);
    expect(lines.every((line) => line.startsWith('{"level":') && JSON.parse(line) !== null)).toBe(true);
    // oxlint-disable-next-line no-control-regex
    expect(lines.join('')).not.toMatch(/[\u0000-\u001f]/);
  });

  it('is no page of ours: stored bytes are only ever a download', async () => {
    const server = await openTestServer();
    await sendAll(server, { content: Buffer.from('<script>alert(1)</script>'), key: 'k' });
    const { headers } = await ask(server, '/__admin/uploads/f/content', { key: 'k' });
    expect(headers.get('content-type')).toBe('application/octet-stream');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  });
});

it('the pages of the contracts run what comes from their server alone, and stand in no frame', async () => {
  const server = await openTestServer();
  for (const page of ['docs', 'docs-admin']) {
    const { headers } = await ask(server, `/__admin/${page}`);
    const policy = (headers.get('content-security-policy') ?? '').split('; ');
    expect(policy).toEqual(
      expect.arrayContaining([
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
      ]),
    );
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  }
});

it.skipIf(process.platform === 'win32')(
  'a data folder that the server makes is for its own user alone',
  async () => {
    const dataDir = join(await temporaryFolder(), 'made', 'here');
    const server = await openTestServer({ storage: 'disk', dataDir });
    await sendChunk(server);
    expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
  },
);
