// Compares the upload service with a small oracle: random lives of a few uploads, in both chunk orders, with chunks that are in
// flight together, broken off, sent again, changed; with restarts that leave what a crash leaves; with passing time. After every
// step the service must report and hold exactly what the oracle does.
import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { ChunkLease } from '../../src/uploads/chunk-lease.ts';
import { placeOf } from '../../src/uploads/storage-key.ts';
import type { ChunkOrder } from '../../src/uploads/upload.ts';
import { diceOf, SEED, type Dice } from '../helpers/seed.ts';
import {
  ALICE,
  leaseChunk,
  contentOf,
  digestOf,
  finalise,
  openService,
  request,
  sizeOf,
  TTL_MS,
  type Service,
} from '../helpers/uploads.ts';

const FILES = ['a', 'b'];
const MAX_BYTES = 60;
const STEPS = 60;

/** What an upload is, as simply as possible. */
class Oracle {
  readonly chunks = new Map<number, string>();
  /** Null: there is no such upload. */
  totalChunks: number | null = null;
  completedBy: number | null = null;
  finalizedBy: string | null = null;
  touchedAt = 0;

  get exists(): boolean {
    return this.totalChunks !== null;
  }

  get content(): string {
    return Array.from({ length: this.nextIndex }, (_, index) => this.chunks.get(index)).join('');
  }

  get nextIndex(): number {
    let index = 0;
    while (this.chunks.has(index)) index += 1;
    return index;
  }

  get receivedBytes(): number {
    return [...this.chunks.values()].join('').length;
  }

  /** The code of the refusal of a leaseChunk, or what is to be done with the bytes. */
  lease({ index, total }: { index: number; total: number }, order: ChunkOrder): string {
    if (this.exists && this.totalChunks !== total) return 'total_chunks_mismatch';
    if (this.chunks.has(index)) return 'compare';
    return index === this.nextIndex || order === 'any' ? 'write' : 'chunk_out_of_order';
  }
}

interface Flight {
  readonly fileId: string;
  readonly index: number;
  readonly total: number;
  readonly lease: ChunkLease;
  readonly isSpooled: boolean;
  /** Of the stored chunk, when it was stored already when it was leased. */
  readonly compared: string | null;
  sent: string;
}

class Life {
  readonly #dice: Dice;
  readonly #order: ChunkOrder;
  readonly #oracles = new Map<string, Oracle>();
  readonly #flights: Flight[] = [];
  #service: Service;
  #forgottenBytes = 0;

  constructor(dice: Dice, order: ChunkOrder) {
    this.#dice = dice;
    this.#order = order;
    this.#service = openService({ chunkOrder: order, maxFileBytes: MAX_BYTES });
  }

  async step(): Promise<string> {
    const steps: [number, () => Promise<string>][] = [
      [30, () => this.#begin()],
      [30, () => this.#goOn()],
      [40, () => this.#commit()],
      [10, () => this.#breakOff()],
      [4, () => this.#finalize()],
      [2, () => this.#restart()],
      [2, () => this.#wait()],
      [1, () => this.#remove()],
    ];
    let at = this.#dice.between(
      1,
      steps.reduce((sum, [weight]) => sum + weight, 0),
    );
    const chosen = steps.find(([weight]) => (at -= weight) <= 0);
    return chosen === undefined ? 'nothing' : chosen[1]();
  }

  /** Everything that can be seen of every upload. */
  async check(): Promise<void> {
    let bytes = this.#forgottenBytes;
    for (const fileId of FILES) {
      const { exists, content, receivedBytes, completedBy } = this.#known(fileId);
      expect(await sizeOf(this.#service, fileId)).toBe(exists ? content.length : null);
      expect(await contentOf(this.#service, fileId)).toBe(exists ? content : null);
      const state = await this.#service.uploads.inspect({ caller: ALICE, fileId });
      expect(state && [state.receivedBytes, state.completedBy]).toEqual(
        exists ? [receivedBytes, completedBy] : null,
      );
      bytes += receivedBytes;
    }
    // Nothing else is stored except the entries of uploads that are forgotten.
    if (this.#flights.length === 0) expect(await this.#service.storage.bytes.usage()).toBe(bytes);
  }

  async end(): Promise<void> {
    while (this.#flights.length > 0) await this.#breakOff();
    await this.check();
  }

  #known(fileId: string): Oracle {
    return this.#oracles.get(fileId) ?? new Oracle();
  }

  #forget(fileId: string): boolean {
    const { finalizedBy, receivedBytes } = this.#known(fileId);
    if (finalizedBy !== null) this.#forgottenBytes += receivedBytes;
    return this.#oracles.delete(fileId);
  }

  async #begin(): Promise<string> {
    if (this.#flights.length >= 4) return 'no more in flight';
    const fileId = this.#dice.pick(FILES);
    const known = this.#known(fileId);
    const { index, total } = this.#aim(known);
    // uploads.test.ts tests requests that wait for each other. Here they would wait for a later step.
    if (this.#flights.some((flight) => flight.fileId === fileId && flight.index === index)) return 'busy';
    const isSpooled = this.#dice.chance(0.25);
    const seen = await leaseChunk(this.#service, { fileId, index, total, isSpooled }).catch(codeOf);
    const kind = typeof seen === 'string' ? seen : seen.work.kind;
    expect(kind).toBe(known.lease({ index, total }, this.#order));
    if (typeof seen !== 'string') {
      const compared = kind === 'compare' ? (known.chunks.get(index) ?? '') : null;
      this.#flights.push({ fileId, index, total, lease: seen, isSpooled, compared, sent: '' });
    }
    return `begin ${fileId}${index}/${total}: ${kind}`;
  }

  #aim({ totalChunks, nextIndex }: Oracle): { index: number; total: number } {
    const total = this.#dice.chance(0.9) ? (totalChunks ?? this.#dice.between(1, 5)) : 6;
    const isNext = this.#dice.chance(0.6);
    return { total, index: isNext ? Math.min(nextIndex, total - 1) : this.#dice.between(0, total - 1) };
  }

  async #goOn(): Promise<string> {
    const flight = this.#pickFlight();
    if (flight === null) return 'none in flight';
    const text = this.#dice.chance(0.7)
      ? `<${flight.fileId}${flight.index}>`
      : 'x'.repeat(this.#dice.between(0, 30));
    if (flight.compared === null && !flight.isSpooled && flight.lease.work.kind === 'write') {
      const code = await flight.lease.work.write([Buffer.from(text)]).then(() => 'write', codeOf);
      expect(code).toBe(this.#expectedWrite(flight, text));
      if (code !== 'write') return `write ${flight.fileId}${flight.index}: ${code}`;
    }
    flight.sent += text;
    return `write ${flight.fileId}${flight.index}`;
  }

  #expectedWrite(flight: Flight, text: string): string {
    const known = this.#known(flight.fileId);
    const lease = known.lease(flight, this.#order);
    if (lease !== 'write') return lease;
    const bytes = known.receivedBytes + flight.sent.length + text.length;
    return bytes > MAX_BYTES ? 'upload_too_large' : 'write';
  }

  async #commit(): Promise<string> {
    const flight = this.#pickFlight();
    if (flight === null) return 'none in flight';
    this.#flights.splice(this.#flights.indexOf(flight), 1);
    // A chunk that is sent again mostly has the same bytes.
    if (flight.compared !== null && this.#dice.chance(0.7)) flight.sent = flight.compared;
    const seen = await this.#store(flight);
    const expected = this.#expectedStore(flight);
    expect(seen).toEqual(expected);
    await flight.lease.end();
    if (typeof seen !== 'string' && flight.compared === null) this.#remember(flight);
    return `commit ${flight.fileId}${flight.index}: ${JSON.stringify(seen)}`;
  }

  async #store({ lease: { work }, sent, isSpooled }: Flight): Promise<string | object> {
    const bytes = Buffer.from(sent);
    const digest = digestOf(bytes);
    if (work.kind === 'compare') {
      try {
        return work.finish(digest);
      } catch (error) {
        return codeOf(error);
      }
    }
    if (!isSpooled || sent === '') return work.commit(digest).catch(codeOf);
    const spool = await this.#service.storage.bytes.spool();
    await spool.append([bytes]);
    const seen = await work.commit(digest, spool).catch(codeOf);
    await spool.discard();
    return seen;
  }

  #expectedStore(flight: Flight): string | object {
    const { index, total, compared, sent } = flight;
    const known = this.#known(flight.fileId);
    if (sent === '' && total > 1) return 'empty_chunk';
    if (compared !== null) {
      return sent === compared
        ? { completed: known.completedBy === index, chunkIndex: index }
        : 'chunk_conflict';
    }
    const lease = this.#expectedWrite(flight, '');
    return lease === 'write' ? { completed: known.chunks.size + 1 === total, chunkIndex: index } : lease;
  }

  #remember({ fileId, index, total, sent }: Flight): void {
    const known = this.#known(fileId);
    this.#oracles.set(fileId, known);
    known.totalChunks = total;
    known.chunks.set(index, sent);
    known.touchedAt = this.#service.clock.ms;
    if (known.chunks.size === total) known.completedBy = index;
  }

  async #breakOff(): Promise<string> {
    const flight = this.#pickFlight();
    if (flight === null) return 'none in flight';
    this.#flights.splice(this.#flights.indexOf(flight), 1);
    await flight.lease.end();
    return `break off ${flight.fileId}${flight.index}`;
  }

  async #finalize(): Promise<string> {
    const fileId = this.#dice.pick(FILES);
    const fingerprint = this.#dice.pick(['one', 'one', 'two']);
    const known = this.#known(fileId);
    const seen = await finalise(this.#service, fileId, request(fingerprint)).then(() => 'finalised', codeOf);
    expect(seen).toBe(expectedEnd(known, fingerprint));
    if (seen === 'finalised' && known.finalizedBy === null) {
      known.finalizedBy = fingerprint;
      known.touchedAt = this.#service.clock.ms;
    }
    return `finalise ${fileId}: ${seen}`;
  }

  /** The process dies: what is in flight is lost, with its bytes still in the storage. */
  async #restart(): Promise<string> {
    this.#flights.length = 0;
    const { clock, storage } = this.#service;
    this.#service = openService({ chunkOrder: this.#order, maxFileBytes: MAX_BYTES, clock }, storage);
    return 'restart';
  }

  async #wait(): Promise<string> {
    const ms = this.#dice.pick([1, TTL_MS - 1, TTL_MS]);
    const { clock, uploads } = this.#service;
    clock.advance(ms);
    for (const [fileId, { touchedAt }] of this.#oracles) {
      const isBusy = this.#flights.some((flight) => flight.fileId === fileId);
      if (!isBusy && clock.ms >= touchedAt + TTL_MS) this.#forget(fileId);
    }
    if (this.#dice.chance(0.5)) await uploads.collect((error) => expect.unreachable(String(error)));
    // What stays only because it is busy must not expire at a later check.
    for (const [fileId, known] of this.#oracles) {
      if (clock.ms < known.touchedAt + TTL_MS) continue;
      for (const flight of this.#flights.filter((one) => one.fileId === fileId)) {
        this.#flights.splice(this.#flights.indexOf(flight), 1);
        await flight.lease.end();
      }
      this.#forget(fileId);
    }
    return `wait ${ms} ms`;
  }

  async #remove(): Promise<string> {
    const fileId = this.#dice.pick(FILES);
    for (const flight of this.#flights.filter((one) => one.fileId === fileId)) {
      this.#flights.splice(this.#flights.indexOf(flight), 1);
      await flight.lease.end();
    }
    expect(await this.#service.uploads.remove({ caller: ALICE, fileId })).toBe(this.#forget(fileId));
    expect(await this.#service.storage.ledgers.open(placeOf(ALICE.namespace, fileId))).toBeNull();
    return `remove ${fileId}`;
  }

  #pickFlight(): Flight | null {
    return this.#flights.length === 0 ? null : this.#dice.pick(this.#flights);
  }
}

function expectedEnd({ exists, completedBy, finalizedBy }: Oracle, fingerprint: string): string {
  if (!exists) return 'upload_not_found';
  if (completedBy === null) return 'upload_incomplete';
  return (finalizedBy ?? fingerprint) === fingerprint ? 'finalised' : 'already_finalized';
}

function codeOf(error: unknown): string {
  if (error instanceof AppError) return error.code;
  throw error;
}

/** So many lives in each order. */
export function randomLives(lives: number): void {
  describe.each<ChunkOrder>(['sequential', 'any'])('random lives of uploads, chunk order %s', (order) => {
    it(`are those of the oracle (TEST_SEED=${SEED})`, async () => {
      const dice = diceOf(SEED);
      for (let n = 0; n < lives; n += 1) {
        const life = new Life(dice, order);
        const told: string[] = [];
        try {
          for (let step = 0; step < STEPS; step += 1) {
            told.push(await life.step());
            await life.check();
          }
          await life.end();
        } catch (error) {
          throw new Error(`life ${n} (TEST_SEED=${SEED}):\n  ${told.join('\n  ')}`, { cause: error });
        }
      }
    });
  });
}
