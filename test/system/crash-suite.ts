// The central promise (C2, C3, C6, D1, D2): what was acknowledged is there, whenever the process dies.
//
// A run is the life of one upload, from its first chunk to the digest of its entry. Several runs share a process, which is killed
// again and again while they send. TEST_SEED sets the dice.
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import type { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { ChunkOrder } from '../../src/uploads/upload.ts';
import { get, keepAliveAgent, post, type Posted } from '../helpers/chunk-client.ts';
import { chunkParts, fieldsFirst, formOf, type Form } from '../helpers/multipart.ts';
import { startAndKill, startProcess, type ServerProcess } from '../helpers/process.ts';
import { diceOf, SEED, type Dice } from '../helpers/seed.ts';

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

  /** Reports an event. After some events the process dies a moment later. */
  tick(): void {
    this.#ticksToKill -= 1;
    if (this.#ticksToKill !== 0 || this.#kills >= MAX_KILLS) return;
    this.#kills += 1;
    this.#server = this.#replace(this.#server);
    // The clients that wait for the next process see the failed start.
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

/** One upload, and everything that its client knows about it. */
class Life {
  readonly #world: World;
  readonly #dice: Dice;
  readonly #order: ChunkOrder;
  readonly #fileId: string;
  readonly #chunks: readonly Buffer[];
  /** An upload without a key lies in the namespace `public`, and is finalised with a key (rule K3). */
  readonly #headers: Readonly<Record<string, string>>;
  readonly #acknowledged = new Set<number>();
  /** The chunk was sent completely, and its answer never came. */
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

  /** Compares what the server says is stored with what it has acknowledged. */
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
      // Now and then the same chunk is sent twice at once.
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

  /** Compares the bytes themselves, once they belong to an entry. */
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

/** So many lives for each durability. */
export function killedWhileItTakesUploads(runs: number): void {
  describe.each(['fsync', 'none'])(
    'a process that is killed while it takes uploads, durability %s',
    (durability) => {
      it(
        `has everything that it acknowledged, and nothing of what was broken off: ${runs} runs (TEST_SEED=${SEED}) (C2)`,
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
}
