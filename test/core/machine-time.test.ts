// core/machine-time.test.ts: the server continues while a test in the same process has stopped the time.
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type * as library from '../../src/index.ts';
import { FAKEABLE } from '../helpers/faked-machine-time.ts';

const SOURCES = fileURLToPath(new URL('../../src/', import.meta.url));
/** As programs have it: with its libraries. */
const BUILT = new URL('../../dist/index.js', import.meta.url).href;

afterEach(() => void vi.useRealTimers());

/** vitest cannot fake `nextTick`. Jest can: see runners/jest.runners.ts. */
function stopTime(more: 'queueMicrotask'[] = []): void {
  vi.useFakeTimers({ toFake: [...FAKEABLE, ...more], now: Date.parse('2001-01-01T00:00:00Z') });
}

function chunk(fileId: string): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries({ fileId, chunkIndex: '0', totalChunks: '1' }))
    form.set(name, value);
  form.set('file', new Blob(['some bytes']));
  return form;
}

describe('while a test has stopped the time', () => {
  it('a server starts, answers, stalls, delays, ends waits and closes, by the time of the machine', async () => {
    const { startServer } = (await import(BUILT)) as typeof library;
    const before = Date.now();
    stopTime();
    const server = await startServer({ maxRequestsPerSecond: 1_000_000 });
    const send = (fileId: string): Promise<Response> =>
      fetch(`${server.url}/media/chunks`, { method: 'POST', body: chunk(fileId) });
    expect((await send('plain')).status).toBe(200);
    server.rules.add([
      { match: { fileId: 'delayed' }, fault: 'delay@pre-commit:20ms' },
      { match: { fileId: 'stalled' }, fault: 'stall@post-commit:20ms' },
      { match: { fileId: 'late' }, fault: 'late-commit:20ms' },
    ]);
    expect((await send('delayed')).status).toBe(200);
    await expect(send('stalled')).rejects.toThrow('fetch failed');
    expect((await send('late')).status).toBe(503);
    const [late] = await server.journal.wait({ fileId: 'late' });
    await expect(server.journal.wait({ fileId: 'never' }, { timeoutMs: 20 })).rejects.toThrow('waited');
    expect(Date.parse(late?.at ?? '')).toBeGreaterThanOrEqual(before);
    await server.close();
  });

  it('a server starts and closes also where microtasks wait', async () => {
    const { startServer } = (await import(BUILT)) as typeof library;
    const early = await startServer();
    stopTime(['queueMicrotask']); // Node's own fetch needs them, so no request can be sent meanwhile.
    const late = await startServer();
    await Promise.all([early.close(), late.close()]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('every module of ours', () => {
  it('takes timers and clocks from machine-time.ts: what the linter cannot see', async () => {
    const names = (await readdir(SOURCES, { recursive: true })).filter((name) => name.endsWith('.ts'));
    expect(names.length).toBeGreaterThan(100);
    const others = names.filter((name) => name !== 'core/machine-time.ts');
    const found = await Promise.all(
      others.map(async (name) => {
        const source = await readFile(`${SOURCES}/${name}`, 'utf8');
        return /'(node:)?(timers|timers\/promises|perf_hooks)'|new Date\(\)/.test(source) ? [name] : [];
      }),
    );
    expect(found.flat()).toEqual([]);
  });
});
