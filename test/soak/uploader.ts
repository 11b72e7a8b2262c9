// soak/uploader.ts: a client that uploads one file after the other. Each file is finalised and read back. Its temperament says how
// well it behaves.
//
// Promises: whatever goes wrong, it continues from what the server reports, as the contract says, and compares that with what it
// was told before. Without an answer it never assumes that a chunk is stored, or that it is not.
import { Client, parsed, type Call, type Outcome } from './client.ts';
import { fieldParts, formOf } from '../helpers/multipart.ts';
import { finish } from './finish.ts';
import { FORGETTABLE_PREFIX } from './rules.ts';
import { drawSizes, type Temperament } from './temperaments.ts';
import { chunkBytes } from './content.ts';
import { Upload, type Knowledge, type Told } from './upload.ts';
import { TIMES, type Site } from './world.ts';

/** This is long before an upload may expire: what must be refused because the upload is there needs the upload to be there. */
const FRESH_MS = TIMES.uploadTtlMs / 3;
const KEPT_PER_CLIENT = 3;

export class Uploader {
  readonly #client: Client;
  readonly #site: Site;
  readonly #temperament: Temperament;
  #uploads = 0;
  #storedAt = 0;

  constructor(site: Site, temperament: Temperament, number: number) {
    this.#site = site;
    this.#temperament = temperament;
    this.#client = new Client(site, `${site.server.name}-${temperament.name}-${number}`);
  }

  async run(): Promise<void> {
    const { world } = this.#site;
    while (!world.isOver) {
      await this.#uploadOne();
      await world.pause(this.#client.dice.between(0, this.#temperament.thinkMs));
    }
    this.#client.close();
  }

  async #uploadOne(): Promise<void> {
    const { world, uploads, kept } = this.#site;
    const upload = this.#begin();
    uploads.add(upload);
    const isAbandoned = this.#client.dice.chance(this.#temperament.abandons);
    const stopsAt = isAbandoned ? Math.floor(upload.totalChunks / 2) : upload.totalChunks;
    while (!world.isOver && upload.acknowledged.length < stopsAt) await this.#sendSome(upload, stopsAt);
    if (isAbandoned) return this.#leave(upload);
    while (!world.isOver) {
      const mediaId = await finish(this.#client, upload, this.#temperament.finalisers);
      if (mediaId !== null) {
        kept.add({ upload, mediaId, key: this.#client.key });
        break;
      }
      if (upload.isWhole) await world.pause(50);
      else await this.#sendSome(upload, upload.totalChunks);
    }
    if (!world.isOver) await this.#tidyUp();
  }

  #begin(): Upload {
    const { options } = this.#site.world;
    this.#uploads += 1;
    const isForgettable = this.#client.dice.chance(this.#temperament.forgettable);
    return new Upload({
      seed: options.seed,
      fileId: `${isForgettable ? FORGETTABLE_PREFIX : ''}${this.#client.name}-${this.#uploads} ü/..`,
      key: this.#temperament.isKeyless ? null : this.#client.key,
      sizes: drawSizes(this.#client.dice, this.#temperament.sizes),
      ttlMs: TIMES.uploadTtlMs,
      isForgettable,
    });
  }

  /** Asks what is there, then sends from that point until something goes wrong. */
  async #sendSome(upload: Upload, stopsAt: number): Promise<void> {
    const { dice } = this.#client;
    if (!(await this.#ask(upload))) return this.#site.world.pause(dice.between(10, 150));
    while (!this.#site.world.isOver && upload.acknowledged.length < stopsAt) {
      const batch = this.#nextOf(upload);
      const sent = await Promise.all(batch.map((index) => this.#sendOne(upload, index)));
      if (sent.includes(false)) return this.#site.world.pause(dice.between(0, 100));
      if (dice.chance(this.#temperament.provokes)) await this.#provoke(upload);
      if (dice.chance(0.1)) await this.#site.world.pause(dice.between(0, this.#temperament.thinkMs));
    }
  }

  /** False: it is not known where to continue. */
  async #ask(upload: Upload): Promise<boolean> {
    const known = upload.know();
    const outcome = await this.#client.call(statusCall(upload));
    if (outcome.kind !== 'success' || outcome.effect === 'stale-status') return false;
    const told = (parsed(outcome.body) as { data: Told }).data;
    if (!this.#take(upload, told, known)) return true;
    const chunks = upload.chunksIn(told.currentSize) ?? 0;
    for (let index = 0; index < chunks; index += 1) upload.acknowledge(index);
    return true;
  }

  /** Where chunks have to come in sequence, one at a time. */
  #nextOf(upload: Upload): number[] {
    if (this.#site.order === 'sequential') return upload.missing.slice(0, 1);
    const { parallel } = this.#temperament;
    return (parallel > 1 ? this.#client.dice.shuffled(upload.missing) : upload.missing).slice(0, parallel);
  }

  /** False: the upload is gone; it begins again. */
  #take(upload: Upload, told: Told, known: Knowledge): boolean {
    const verdict = upload.judgeStatus(told, known, Date.now());
    if (verdict === null || verdict.kind === 'right') return true;
    if (verdict.kind === 'wrong') this.#client.problem(verdict.problem);
    else if (upload.plan.isForgettable) this.#site.world.record.counts.forgotten += 1;
    else this.#site.world.record.counts.expired += 1;
    upload.retire();
    return false;
  }

  /** False: the chunk is not stored, or it is not known whether it is. */
  async #sendOne(upload: Upload, index: number): Promise<boolean> {
    const { dice } = this.#client;
    const call = this.#chunkCall(upload, index);
    if (dice.chance(this.#temperament.cuts)) return this.#cut(upload, index, call);
    upload.sent(index, Date.now());
    if (dice.chance(this.#temperament.silent)) return this.#fallSilent(upload, index, call);
    const isStored = this.#stored(upload, index, await this.#timed(call));
    if (isStored && dice.chance(this.#temperament.repeats)) return this.#repeat(upload, index, call);
    return isStored;
  }

  async #cut(upload: Upload, index: number, call: ChunkCall): Promise<boolean> {
    const { dice } = this.#client;
    const isWhole = dice.chance(0.4);
    const atByte = isWhole ? call.body.length : dice.between(0, call.body.length - 1);
    // The first dashes of the last delimiter are not the end: the form is complete only with its last byte.
    if (isWhole) upload.sent(index, Date.now());
    const { isCoded: _, ...plain } = call;
    await this.#client.call({ ...plain, cut: { atByte, how: dice.pick(['FIN', 'RST']) } });
    return false;
  }

  /** In the middle of the body; sometimes another request for the same chunk comes meanwhile. */
  async #fallSilent(upload: Upload, index: number, call: ChunkCall): Promise<boolean> {
    const { dice } = this.#client;
    const ms = dice.pick([200, TIMES.takeoverMs * 2, TIMES.idleMs + 1_500]);
    const refusals = (): string[] => [...call.refusals(), 'chunk_superseded', 'request_timeout'];
    const atByte = dice.between(0, call.body.length - 1);
    const silent = this.#timed({ ...call, refusals, silence: { atByte, ms } });
    const [first, second] = await Promise.all([
      silent,
      dice.chance(0.5) ? this.#later(call, refusals) : null,
    ]);
    const isStored = second !== null && this.#stored(upload, index, second);
    return this.#stored(upload, index, first) || isStored;
  }

  async #later(call: ChunkCall, refusals: () => string[]): Promise<Timed> {
    await this.#site.world.pause(this.#client.dice.between(0, 300));
    return this.#timed({ ...call, refusals });
  }

  /** Sends an acknowledged chunk again: the answer must be the same. */
  async #repeat(upload: Upload, index: number, call: ChunkCall): Promise<boolean> {
    const again = await this.#timed({ ...call, what: `${call.what}, sent again,` });
    return this.#stored(upload, index, again);
  }

  async #timed(call: Call): Promise<Timed> {
    const begunAtMs = Date.now();
    return { begunAtMs, outcome: await this.#client.call(call) };
  }

  #stored(upload: Upload, index: number, { begunAtMs, outcome }: Timed): boolean {
    if (outcome.kind === 'refusal') return this.#refused(upload, outcome);
    if (outcome.kind !== 'success') return false;
    this.#holdReceipt(upload, index, outcome.body);
    const { plan } = upload;
    this.#site.world.record.counts.bytesSent += plan.sizes[index] ?? 0;
    // After a rule that removes the upload after the commit, nothing is left that was acknowledged.
    if (outcome.effect === 'forget') return false;
    upload.acknowledge(index);
    this.#storedAt = begunAtMs;
    return true;
  }

  #refused(upload: Upload, { code, body }: Extract<Outcome, { kind: 'refusal' }>): boolean {
    if (code !== 'chunk_out_of_order') return false;
    const { details } = parsed(body) as { details: { currentSize: number } };
    const { currentSize } = details;
    this.#take(upload, { exists: currentSize > 0, currentSize }, upload.know());
    return false;
  }

  /** One of the two documented answers, and only one chunk ever completes the upload (C5, C6). */
  #holdReceipt(upload: Upload, index: number, body: Buffer): void {
    const text = body.toString();
    const { fileId } = upload.plan;
    const whole = JSON.stringify({
      success: true,
      data: { completed: true, fileId },
      message: 'Upload complete',
    });
    const received = JSON.stringify({
      success: true,
      data: { completed: false, chunkIndex: index },
      message: 'Chunk received',
    });
    if (text === whole) {
      if (upload.completedBy !== null && upload.completedBy !== index && !upload.plan.isForgettable)
        this.#client.problem(`chunks ${upload.completedBy} and ${index} of ${fileId} both completed it`);
      upload.completedBy = index;
    }
    const isLast = index === upload.totalChunks - 1;
    const isExpected =
      this.#site.order === 'sequential'
        ? text === (isLast ? whole : received)
        : text === whole || text === received;
    if (!isExpected)
      this.#client.problem(`chunk ${index} of ${upload.totalChunks} of ${fileId} was answered ${text}`);
  }

  /**
   * Sends something that must be refused. It goes to the process that is there now: after a wait for the next process the upload
   * might have expired, and the request would be accepted as its first chunk.
   */
  async #provoke(upload: Upload): Promise<void> {
    const { server } = this.#site;
    const isFresh = Date.now() < this.#storedAt + FRESH_MS;
    if (upload.plan.isForgettable || upload.acknowledged.length === 0 || !isFresh) return;
    if (server.life === null || server.isClosed) return;
    const { call, code } = this.#provocation(upload);
    const what = `${call.what}, made to be refused with ${code},`;
    const outcome = await this.#client.callOn(server.life, { ...call, what, refusals: () => [code] });
    if (outcome.kind === 'success') this.#client.problem(`${what} was accepted`);
  }

  #provocation(upload: Upload): { call: Call; code: string } {
    const { dice } = this.#client;
    const index = upload.acknowledged[dice.between(0, upload.acknowledged.length - 1)] ?? 0;
    const { seed, fileId, sizes } = upload.plan;
    const kind = dice.between(0, 3);
    const beyond = upload.reach + 1;
    if (kind === 0 && this.#site.order === 'sequential' && beyond < upload.totalChunks) {
      upload.sent(beyond, Date.now()); // A rule may make it late. Then it may be right.
      return { call: this.#chunkCall(upload, beyond), code: 'chunk_out_of_order' };
    }
    if (kind === 1) return { call: this.#chunkCall(upload, upload.totalChunks), code: 'invalid_request' };
    if (kind === 2) {
      const call = this.#chunkCall(upload, index, { totalChunks: upload.totalChunks + 1 });
      return { call, code: 'total_chunks_mismatch' };
    }
    const length = Math.max(1, (sizes[index] ?? 0) + dice.between(-1, 1));
    const bytes = chunkBytes({ seed: seed + 1, fileId, index }, length);
    return { call: this.#chunkCall(upload, index, { bytes }), code: 'chunk_conflict' };
  }

  #chunkCall(upload: Upload, index: number, other: { bytes?: Buffer; totalChunks?: number } = {}): ChunkCall {
    const { dice } = this.#client;
    const { bytes = upload.bytesOf(index), totalChunks = upload.totalChunks } = other;
    const { fileId, key } = upload.plan;
    const numbers = { chunkIndex: String(index), totalChunks: String(totalChunks) };
    const fields = fieldParts({ fileId, ...numbers, extra: 'ignored' });
    const file = { name: 'file', value: bytes, filename: 'soak.mp4' };
    const isFileFirst = dice.chance(this.#temperament.fileFirst);
    // The possible refusals when the upload is gone and its client does not know it yet.
    const refusals = (): string[] =>
      upload.mayBeGone(Date.now()) ? ['chunk_out_of_order', 'chunk_superseded'] : [];
    return {
      what: `chunk ${index} of ${upload.totalChunks} of ${fileId}`,
      method: 'POST',
      path: dice.chance(0.5) ? '/media/chunks' : '/api/v1/media/chunks',
      key,
      ...formOf(isFileFirst ? [file, ...fields] : [...fields, file]),
      isCoded: dice.chance(0.1),
      refusals,
    };
  }

  /** The client does not come back to it; see graves.ts. */
  #leave(upload: Upload): void {
    this.#site.abandoned.push({ upload, leftAtMs: Date.now() });
  }

  /** Removes what was finished, so that a soak does not fill the disk; some of it stays for the audits. */
  async #tidyUp(): Promise<void> {
    const { kept, uploads } = this.#site;
    const mine = [...kept].filter(({ key }) => key === this.#client.key);
    if (mine.length < KEPT_PER_CLIENT) return;
    for (const one of mine) {
      kept.delete(one);
      uploads.delete(one.upload);
      one.upload.retire();
    }
    // Uploads without a key lie in the namespace `public`, which other clients use, too.
    for (const { upload } of mine.filter((one) => one.upload.plan.key === null)) {
      const path = `/uploads/${encodeURIComponent(upload.plan.fileId)}`;
      const refusals = (): string[] => ['upload_not_found'];
      await this.#client.call({
        what: `DELETE ${path}`,
        method: 'DELETE',
        path,
        isAdmin: true,
        key: null,
        refusals,
      });
    }
    // What was abandoned must disappear by itself.
    const scope = this.#temperament.abandons > 0 ? ['media'] : ['uploads', 'media'];
    const body = Buffer.from(JSON.stringify({ scope }));
    await this.#client.call({ what: 'POST reset', method: 'POST', path: '/reset', isAdmin: true, body });
  }
}

interface Timed {
  readonly begunAtMs: number;
  readonly outcome: Outcome;
}

type ChunkCall = Call & { readonly body: Buffer; readonly refusals: () => string[] };

export function statusCall({ plan }: Upload): Call {
  const path = `/media/chunks?fileId=${encodeURIComponent(plan.fileId)}`;
  return { what: `the status of ${plan.fileId}`, method: 'GET', path, key: plan.key };
}
