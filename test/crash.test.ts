// The promise of the whole thing (C2, C3, C6, D1, D2): what was acknowledged is there, whenever the process dies.
//
// A run is the life of one upload, from its first chunk to the digest of its entry. Several share a process, which is
// killed again and again while they send. CRASH_RUNS sets how many runs there are, TEST_SEED their dice.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import type { Agent } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ChunkOrder } from '../src/uploads/upload.ts';
import { get, keepAliveAgent, post, type Posted } from './helpers/chunk-client.ts';
import { chunkParts, fieldsFirst, formOf, type Form } from './helpers/multipart.ts';
import { runToEnd, startAndKill, startProcess, type ServerProcess } from './helpers/process.ts';
import { closeConnections, openConnection, requestBytes, type RawConnection } from './helpers/raw.ts';
import { diceOf, SEED, type Dice } from './helpers/seed.ts';

const RUNS = Number(process.env['CRASH_RUNS'] ?? 200);
const LIVES_PER_ROUND = 40;
const MAX_KILLS = 4;
const MAX_CHUNKS = 10;
const KEY = { 'x-api-key': 'crash' };

/** The server died before it answered. */
class Lost extends Error {}

/** One data folder, and the processes that own it one after the other. */
class World {
  readonly dice: Dice;
  readonly #flags: readonly string[];
  #server: Promise<ServerProcess>;
  #agent: Agent = keepAliveAgent();
  #kills = 0;
  #ticksToKill: number;
  #isDying = false;
  readonly #diedWith: string[] = [];

  constructor(dice: Dice, flags: readonly string[]) {
    this.dice = dice;
    this.#flags = flags;
    this.#server = startProcess(flags);
    this.#ticksToKill = dice.between(1, 300);
  }

  get kills(): number {
    return this.#kills;
  }

  get isDying(): boolean {
    return this.#isDying;
  }

  /** Every line that any of the processes logged. */
  get log(): string {
    return this.#diedWith.join('');
  }

  server(): Promise<ServerProcess> {
    return this.#server;
  }

  agent(): Agent {
    return this.#agent;
  }

  /** Something happened. Some of these are followed by the death of the process, a moment later. */
  tick(): void {
    this.#ticksToKill -= 1;
    if (this.#ticksToKill !== 0 || this.#kills >= MAX_KILLS) return;
    this.#kills += 1;
    this.#server = this.#replace(this.#server);
    // Whoever waits for the next process sees a failed start.
    this.#server.catch(() => undefined);
  }

  /** May be called twice. */
  async end(): Promise<void> {
    this.#kills = MAX_KILLS;
    const server = await this.#server;
    await server.kill();
    if (!this.#diedWith.includes(server.stderr())) this.#diedWith.push(server.stderr());
    this.#agent.destroy();
  }

  async #replace(current: Promise<ServerProcess>): Promise<ServerProcess> {
    const server = await current;
    await delay(this.dice.between(0, 6));
    this.#isDying = true;
    await server.kill();
    this.#diedWith.push(server.stderr());
    this.#agent.destroy();
    this.#agent = keepAliveAgent();
    if (this.dice.chance(0.2)) await startAndKill(this.#flags, this.dice.between(0, 1_500));
    const next = await startProcess(this.#flags);
    this.#isDying = false;
    this.#ticksToKill = this.dice.between(1, 300);
    return next;
  }
}

interface StoredChunk {
  readonly index: number;
  readonly bytes: number;
  readonly crc32: string;
}

interface UploadView {
  readonly currentSize: number;
  readonly chunks: readonly StoredChunk[];
}

/** One upload, and all that its client knows of it. */
class Life {
  readonly #world: World;
  readonly #dice: Dice;
  readonly #order: ChunkOrder;
  readonly #fileId: string;
  readonly #chunks: readonly Buffer[];
  /** A keyless upload lies in the namespace `public`, and is finalised with a key (rule K3). */
  readonly #headers: Readonly<Record<string, string>>;
  readonly #acknowledged = new Set<number>();
  /** Sent whole, and the answer never came. */
  #unanswered = new Set<number>();
  #leastSize = 0;
  #mediaId: string | null = null;

  constructor(world: World, dice: Dice, about: { fileId: string; order: ChunkOrder }) {
    this.#world = world;
    this.#dice = dice;
    this.#order = about.order;
    this.#fileId = about.fileId;
    this.#headers = dice.chance(0.3) ? {} : KEY;
    this.#chunks = Array.from({ length: dice.between(1, MAX_CHUNKS) }, () =>
      Buffer.alloc(dice.between(1, dice.chance(0.1) ? 600_000 : 60_000), dice.bytes(97)),
    );
  }

  async run(): Promise<void> {
    for (;;) {
      const server = await this.#world.server();
      try {
        await this.#compare(server);
        await this.#sendAll(server);
        await this.#finalize(server);
        await this.#compareEntry(server);
        return;
      } catch (error) {
        if (!(error instanceof Lost)) throw error;
        if (!this.#world.isDying) throw new Error('a connection broke although the server lives');
      }
    }
  }

  /** What the server says is stored, against what it has acknowledged. */
  async #compare(server: ServerProcess): Promise<void> {
    const view = await this.#view(server);
    const stored = new Map(view.chunks.map((chunk) => [chunk.index, chunk]));
    for (const index of this.#acknowledged) {
      expect(stored.get(index), `chunk ${index} of ${this.#fileId} was acknowledged`).toBeDefined();
    }
    const more = [...stored.keys()].filter((index) => !this.#acknowledged.has(index));
    for (const index of more) {
      expect(this.#unanswered.has(index), `chunk ${index} of ${this.#fileId} was sent whole`).toBe(true);
    }
    if (this.#order === 'sequential') expect(more.length).toBeLessThanOrEqual(1);
    for (const [index, chunk] of stored) {
      const sent = this.#chunks[index] ?? Buffer.alloc(0);
      expect(chunk).toMatchObject({ bytes: sent.length, crc32: crc32(sent).toString(16).padStart(8, '0') });
      this.#acknowledged.add(index);
    }
    this.#unanswered = new Set();
    expect(view.currentSize).toBe(this.#sizeToGap());
    await this.#compareSize(server);
  }

  async #view({ adminUrl }: ServerProcess): Promise<UploadView> {
    const { status, text } = await this.#get(`${adminUrl}/uploads/${this.#fileId}`, this.#headers);
    expect([200, 404], text).toContain(status);
    return status === 200 ? (JSON.parse(text) as UploadView) : { currentSize: 0, chunks: [] };
  }

  /** The documented status query, at any moment between chunks. */
  async #compareSize({ url }: ServerProcess): Promise<void> {
    const { text } = await this.#get(`${url}/media/chunks?fileId=${this.#fileId}`, this.#headers);
    const { data } = JSON.parse(text) as { data: { exists: boolean; currentSize: number } };
    expect(data.exists).toBe(this.#acknowledged.size > 0);
    expect(data.currentSize).toBe(this.#sizeToGap());
    expect(data.currentSize, 'it never decreases').toBeGreaterThanOrEqual(this.#leastSize);
    this.#leastSize = data.currentSize;
  }

  #sizeToGap(): number {
    let size = 0;
    for (let index = 0; this.#acknowledged.has(index); index += 1) size += this.#chunks[index]?.length ?? 0;
    return size;
  }

  async #sendAll(server: ServerProcess): Promise<void> {
    while (this.#acknowledged.size < this.#chunks.length) {
      const missing = this.#chunks.flatMap((_, index) => (this.#acknowledged.has(index) ? [] : [index]));
      const next =
        this.#order === 'sequential' ? missing.slice(0, 1) : this.#dice.shuffled(missing).slice(0, 3);
      const again = [...this.#acknowledged].filter(() => this.#dice.chance(0.05));
      // The same chunk twice at once, now and then.
      const twice = next.filter(() => this.#dice.chance(0.1));
      const sendings = [...next, ...again, ...twice].map((index) => this.#send(server, index));
      const failed = (await Promise.allSettled(sendings)).find(({ status }) => status === 'rejected');
      if (failed?.status === 'rejected') throw failed.reason;
      if (this.#dice.chance(0.1)) await this.#compareSize(server);
    }
  }

  async #send({ url }: ServerProcess, index: number): Promise<void> {
    const { body, contentType } = this.#form(index);
    const isCut = this.#dice.chance(0.12);
    const cut = isCut ? { cutAfter: this.#dice.between(0, body.length - 1) } : {};
    if (!isCut) this.#unanswered.add(index);
    this.#world.tick();
    const isChunked = this.#dice.chance(0.3);
    const target = `${url}/media/chunks`;
    const posted = { contentType, body, isChunked, headers: this.#headers, ...cut };
    const answer = await post(this.#world.agent(), target, posted);
    this.#world.tick();
    if (isCut) {
      expect(answer).toBeNull();
      if (this.#world.isDying) throw new Lost();
      return;
    }
    if (answer === null) throw new Lost();
    expect(answer.status, answer.text).toBe(200);
    this.#acknowledged.add(index);
    this.#unanswered.delete(index);
  }

  #form(index: number): Form {
    const bytes = this.#chunks[index] ?? Buffer.alloc(0);
    const chunk = { fileId: this.#fileId, chunkIndex: index, totalChunks: this.#chunks.length, bytes };
    return formOf(this.#dice.chance(0.5) ? chunkParts(chunk) : fieldsFirst(chunk));
  }

  async #finalize({ url }: ServerProcess): Promise<void> {
    const form = formOf([
      { name: 'fileId', value: this.#fileId },
      { name: 'platforms', value: '["instagram"]' },
    ]);
    this.#world.tick();
    const answer = await post(this.#world.agent(), `${url}/media/videos`, { ...form, headers: KEY });
    this.#world.tick();
    if (answer === null) throw new Lost();
    expect([200, 201], answer.text).toContain(answer.status);
    const { id } = (JSON.parse(answer.text) as { data: { id: string } }).data;
    if (this.#mediaId !== null) expect(id, 'one entry, however often it is asked for').toBe(this.#mediaId);
    this.#mediaId = id;
  }

  /** The bytes themselves, once they are an entry's. */
  async #compareEntry({ adminUrl }: ServerProcess): Promise<void> {
    const { text } = await this.#get(`${adminUrl}/media/${this.#mediaId}?digest=sha256`, KEY);
    const content = Buffer.concat(this.#chunks);
    const sha256 = createHash('sha256').update(content).digest('hex');
    expect(JSON.parse(text), text).toMatchObject({ bytes: content.length, sha256, fileId: this.#fileId });
  }

  async #get(url: string, headers: Readonly<Record<string, string>>): Promise<Posted> {
    const answer = await get(this.#world.agent(), url, headers);
    this.#world.tick();
    if (answer === null) throw new Lost();
    return answer;
  }
}

async function playRound(dice: Dice, durability: string, lives: number): Promise<number> {
  const dataDir = await mkdtemp(join(tmpdir(), 'xenonflare-mock-crash-'));
  const order = dice.pick(['sequential', 'any'] as const);
  const spool = ['--spool-memory', dice.pick(['0', '64KiB', '16MiB'])];
  const flags = ['--data-dir', dataDir, '--durability', durability, '--chunk-order', order, ...spool];
  const world = new World(dice, flags);
  try {
    const names = Array.from({ length: lives }, (_, i) => `life-${i}`);
    const played = names.map((fileId) =>
      new Life(world, diceOf(dice.between(0, 2 ** 31)), { fileId, order }).run(),
    );
    const failed = (await Promise.allSettled(played)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
    await everyEntryOnce(world, names);
    await world.end();
    expect(await readdir(join(dataDir, 'spool')), 'temporary files').toEqual([]);
    expect(
      world.log.split('\n').filter((line) => /"level":[56]0/.test(line)),
      'errors that were logged',
    ).toEqual([]);
    return world.kills;
  } finally {
    await world.end();
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function everyEntryOnce(world: World, names: readonly string[]): Promise<void> {
  const { adminUrl } = await world.server();
  const answer = await get(world.agent(), `${adminUrl}/media`, KEY);
  const { media } = JSON.parse(answer?.text ?? '') as { media: { fileId: string }[] };
  expect(media.map(({ fileId }) => fileId).toSorted()).toEqual(names.toSorted());
}

describe.each(['fsync', 'none'])(
  'a process that is killed while it takes uploads, durability %s',
  (durability) => {
    const runs = Math.ceil(RUNS / 2);
    it(
      `has everything that it acknowledged, and nothing of what was broken off: ${runs} runs (TEST_SEED=${SEED})`,
      { timeout: 300_000 },
      async () => {
        console.log(`crash runs, durability ${durability}: TEST_SEED=${SEED}`);
        const dice = diceOf(SEED);
        let kills = 0;
        for (let left = runs; left > 0; left -= LIVES_PER_ROUND) {
          kills += await playRound(dice, durability, Math.min(left, LIVES_PER_ROUND));
        }
        console.log(`${runs} runs, ${kills} kills`);
        expect(kills).toBeGreaterThan(0);
      },
    );
  },
);

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

/** A chunk of which half has come. `rest` is what is missing. */
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
  // The admin plane on a port of its own can be asked while the other takes no connections any more.
  const flags = (): string[] => ['--data-dir', dataDir, '--admin-port', '0'];

  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s: ready turns 503, the chunk in flight ends, nobody else gets in, and it exits with 0',
    async (signal) => {
      const server = await startProcess(flags());
      expect(await readyStatus(server)).toBe('200 {"ready":true}');
      const { connection, rest } = await halfAChunk(server);
      await expect.poll(() => openUploads(server)).toBe(1);
      server.signal(signal);
      await expect.poll(() => readyStatus(server)).toBe('503 {"ready":false}');
      await expect(openConnection(server.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
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
    /** Sends on from `index`; gives the first chunk that was not acknowledged. */
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
      const { chunks } = JSON.parse(view?.text ?? '') as UploadView;
      // One more may be stored whose answer was lost with its connection.
      expect([0, 1]).toContain(chunks.length - (reached[upload] ?? 0));
      expect(await sendFrom(next.url, upload, chunks.length)).toBe(CHUNKS);
      const whole = await get(agent, `${next.adminUrl}/uploads/f${upload}?digest=sha256`);
      const content = Buffer.concat(Array.from({ length: CHUNKS }, (_, index) => bytesOf(upload, index)));
      const sha256 = createHash('sha256').update(content).digest('hex');
      expect(JSON.parse(whole?.text ?? '')).toMatchObject({ completed: true, sha256 });
    }
  });

  it('leaves its folder to the next one, and its stdout with one line', async () => {
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

  it('a port that is taken', async () => {
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

  it('a data folder that is in use: the holder is named', async () => {
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
  ])('%s', async (_what, { flags = [], environment = {}, config, named }) => {
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

it('--print-config shows each value and where it came from, flags before environment before file, and no secret', async () => {
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
