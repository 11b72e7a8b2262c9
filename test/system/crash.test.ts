// What happens to a server that is told to stop, and to one that cannot start. Also a sample of killed servers; deep/crash.test.ts
// has many more of them.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { killedWhileItTakesUploads } from './crash-suite.ts';
import { get, keepAliveAgent, post } from '../helpers/chunk-client.ts';
import { fieldsFirst, formOf, type Form } from '../helpers/multipart.ts';
import { runToEnd, startProcess, type ServerProcess } from '../helpers/process.ts';
import { closeConnections, openConnection, requestBytes, type RawConnection } from '../helpers/raw.ts';

killedWhileItTakesUploads(12);

/** A data folder of its own for each test. */
let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'xenonflare-mock-process-'));
});
afterEach(async () => {
  closeConnections();
  await rm(dataDir, { recursive: true, force: true });
});

function chunkForm(chunkIndex = 0, totalChunks = 1): Form {
  const bytes = Buffer.alloc(100_000, 'x');
  return formOf(fieldsFirst({ fileId: 'f', chunkIndex, totalChunks, bytes }));
}

/** A chunk of which half has arrived. `rest` is the missing half. */
async function halfAChunk({ port }: ServerProcess): Promise<{ connection: RawConnection; rest: Buffer }> {
  const { contentType, body } = chunkForm();
  const whole = requestBytes('POST /media/chunks', { 'content-type': contentType }, body);
  const connection = await openConnection(port);
  await connection.write(whole.subarray(0, whole.length / 2));
  return { connection, rest: whole.subarray(whole.length / 2) };
}

async function readyStatus({ adminUrl }: ServerProcess): Promise<string> {
  const answer = await get(agent, `${adminUrl}/ready`);
  return answer === null ? 'no answer' : `${answer.status} ${answer.text}`;
}

const agent = keepAliveAgent();

async function sizeOf({ url }: ServerProcess): Promise<number> {
  const answer = await get(agent, `${url}/media/chunks?fileId=f`);
  return (JSON.parse(answer?.text ?? '') as { data: { currentSize: number } }).data.currentSize;
}

describe('a server that is told to stop (D4)', () => {
  const flags = (): string[] => ['--data-dir', dataDir];

  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s: ready turns 503, the chunk in flight ends, nobody else gets in, and it exits with 0',
    async (signal) => {
      const server = await startProcess(flags());
      expect(await readyStatus(server)).toBe('200 {"ready":true}');
      const { connection, rest } = await halfAChunk(server);
      await expect.poll(() => openUploads(server)).toBe(1);
      server.signal(signal);
      await expect.poll(() => readyStatus(server)).toBe('503 {"ready":false}');
      const refused = await get(agent, `${server.url}/media/chunks?fileId=f`);
      expect([refused?.status, refused?.text]).toEqual([503, expect.stringContaining('shutting_down')]);
      await connection.write(rest);
      const answer = await connection.answer();
      expect(answer?.status).toBe(200);
      expect(await server.exited).toEqual({ code: 0, signal: null });
      expect(await sizeOf(await startProcess(flags()))).toBe(100_000);
    },
  );

  it('exits with 0 after its grace, and what had not come by then is not stored', async () => {
    const server = await startProcess([...flags(), '--grace', '300ms']);
    const { connection } = await halfAChunk(server);
    await expect.poll(() => openUploads(server)).toBe(1);
    server.signal('SIGTERM');
    expect(await server.exited).toEqual({ code: 0, signal: null });
    expect(await connection.answer()).toBeNull();
    const next = await startProcess(flags());
    expect(await sizeOf(next)).toBe(0);
    expect(await readdir(join(dataDir, 'spool'))).toEqual([]);
  });

  it('exits at once when it is told a second time', async () => {
    const server = await startProcess([...flags(), '--grace', '1h']);
    await halfAChunk(server);
    await expect.poll(() => openUploads(server)).toBe(1);
    server.signal('SIGTERM');
    await expect.poll(() => readyStatus(server)).toBe('503 {"ready":false}');
    server.signal('SIGTERM');
    expect(await server.exited).toEqual({ code: 1, signal: null });
    await startProcess(flags());
  });

  it('under load: everything acknowledged is there, and every upload goes on where it was', async () => {
    const UPLOADS = 8;
    const CHUNKS = 12;
    const bytesOf = (upload: number, index: number): Buffer =>
      Buffer.alloc(40_000 + index, `${upload}.${index} `);
    const server = await startProcess(flags());
    let acknowledged = 0;
    /** Continues to send from `index`. Returns the first chunk that was not acknowledged. */
    const sendFrom = async (url: string, upload: number, index: number): Promise<number> => {
      for (let next = index; next < CHUNKS; next += 1) {
        const chunk = {
          fileId: `f${upload}`,
          chunkIndex: next,
          totalChunks: CHUNKS,
          bytes: bytesOf(upload, next),
        };
        const answer = await post(agent, `${url}/media/chunks`, formOf(fieldsFirst(chunk)));
        if (answer?.status !== 200) {
          expect([undefined, 503], answer?.text).toContain(answer?.status);
          return next;
        }
        acknowledged += 1;
        if (acknowledged === 3 * UPLOADS) server.signal('SIGTERM');
      }
      return CHUNKS;
    };
    const uploads = Array.from({ length: UPLOADS }, (_, upload) => upload);
    const reached = await Promise.all(uploads.map((upload) => sendFrom(server.url, upload, 0)));
    expect(await server.exited).toEqual({ code: 0, signal: null });
    expect(acknowledged, 'it was told to stop before the end').toBeLessThan(UPLOADS * CHUNKS);
    const next = await startProcess(flags());
    for (const upload of uploads) {
      const view = await get(agent, `${next.adminUrl}/uploads/f${upload}`);
      const { chunks } = JSON.parse(view?.text ?? '') as { chunks: readonly unknown[] };
      // One more chunk may be stored: its answer was lost with its connection.
      expect([0, 1]).toContain(chunks.length - (reached[upload] ?? 0));
      expect(await sendFrom(next.url, upload, chunks.length)).toBe(CHUNKS);
      const whole = await get(agent, `${next.adminUrl}/uploads/f${upload}?digest=sha256`);
      const content = Buffer.concat(Array.from({ length: CHUNKS }, (_, index) => bytesOf(upload, index)));
      const sha256 = createHash('sha256').update(content).digest('hex');
      expect(JSON.parse(whole?.text ?? '')).toMatchObject({ completed: true, sha256 });
    }
  });

  it('leaves its folder to the next one, and its stdout with one line (§8.6)', async () => {
    const server = await startProcess(flags());
    await post(agent, `${server.url}/media/chunks`, chunkForm());
    await post(agent, `${server.url}/media/chunks`, { contentType: 'text/plain', body: Buffer.from('x') });
    server.signal('SIGTERM');
    await server.exited;
    expect(await readdir(dataDir)).not.toContain('lock');
    const lines = server.stdout().split('\n');
    expect(lines).toHaveLength(2);
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      event: 'ready',
      url: server.url,
      adminUrl: server.adminUrl,
      pid: server.pid,
      version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
    });
  });
});

async function openUploads({ adminUrl }: ServerProcess): Promise<number> {
  const answer = await get(agent, `${adminUrl}/metrics`);
  return Number(/^xenonflare_mock_open_uploads (\d+)$/m.exec(answer?.text ?? '')?.[1]);
}

describe('what cannot be used exits with 2, and says what it was (§8)', () => {
  const serve = (...flags: string[]): string[] => ['serve', '--port', '0', '--data-dir', dataDir, ...flags];

  it('a port that is taken (§8.5)', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' ? String(address?.port) : '';
    const ended = await runToEnd(['serve', '--data-dir', dataDir, '--port', port]);
    other.close();
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toContain(`127.0.0.1:${port} is in use`);
    expect(await readdir(dataDir)).not.toContain('lock');
  });

  it('a data folder that is in use: the holder is named (D3)', async () => {
    const holder = await startProcess(['--data-dir', dataDir]);
    const ended = await runToEnd(serve());
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toContain(`the data folder ${dataDir} is in use by process ${holder.pid} on`);
    expect(await readyStatus(holder)).toBe('200 {"ready":true}');
  });

  it.each<[string, { flags?: string[]; environment?: NodeJS.ProcessEnv; config?: string; named: RegExp }]>([
    ['an unknown flag', { flags: ['--bogus'], named: /--bogus/ }],
    [
      'a flag with a bad value',
      { flags: ['--max-file-size', 'huge'], named: /--max-file-size \(flag\): got "huge"/ },
    ],
    [
      'an environment variable with a bad value',
      {
        environment: { XENONFLARE_MOCK_DURABILITY: 'maybe' },
        named: /XENONFLARE_MOCK_DURABILITY \(environment\): got "maybe"/,
      },
    ],
    ['a config file that is no JSON', { config: '{"port": ', named: /config\.json is not JSON/ }],
    [
      'a config file with an unknown key',
      { config: '{"prot": 1}', named: /unknown setting "prot" \(config file\)/ },
    ],
  ])('%s (§8.2)', async (_what, { flags = [], environment = {}, config, named }) => {
    const path = join(dataDir, 'config.json');
    if (config !== undefined) await writeFile(path, config);
    const ended = await runToEnd(
      serve(...flags, ...(config === undefined ? [] : ['--config', path])),
      environment,
    );
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toMatch(named);
    expect(ended.stderr, 'no stack').not.toContain(' at ');
  });
});

it('--print-config shows each value and where it came from, flags before environment before file, and no secret (§8.3)', async () => {
  const path = join(dataDir, 'config.json');
  await writeFile(path, JSON.stringify({ grace: '1s', host: '127.0.0.2', uploadTtl: '2h' }));
  const environment = { XENONFLARE_MOCK_HOST: '127.0.0.3', XENONFLARE_MOCK_GRACE: '3s' };
  const flags = ['--grace', '7s', '--api-keys', 'hush,hush2', '--print-config', '--config', path];
  const ended = await runToEnd(['serve', ...flags], environment);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(ended.stdout)).toMatchObject({
    grace: { value: 7_000, source: 'flag' },
    host: { value: '127.0.0.3', source: 'environment' },
    uploadTtl: { value: 7_200_000, source: 'config file' },
    durability: { value: 'fsync', source: 'default' },
  });
  expect(ended.stdout).not.toContain('hush');
});
