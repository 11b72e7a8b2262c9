// http/forms/chunk-intake.ts: takes one chunk from a request's body to the storage.
//
// Promises: when the fields come first, file bytes stream to their place as they come. When `file` comes first, they are
// spooled: a small chunk in memory while the shared budget lasts, any other chunk in a temporary file that becomes part of the
// upload by a rename (rule C10). Nothing counts before the closing delimiter has been read (rule C3). The lease of the chunk is
// always given back.
// Must not know: replies, keys, what surrounds the route.
import type { Caller } from '../../core/namespace.ts';
import type { Uploads } from '../../uploads/uploads.ts';
import type { ChunkComparison, ChunkLease, LeaseOptions } from '../../uploads/chunk-lease.ts';
import type { Spool, Storage } from '../../uploads/ports.ts';
import { tooLarge, type Receipt } from '../../uploads/upload.ts';
import type { BodyFeed } from '../connection/body-feed.ts';
import type { ChunkForm, ChunkIdentity } from './chunk-form.ts';
import { malformed, type MultipartReader } from './multipart-reader.ts';
import type { BodyFacts, DeferredChange, Observer, Stored } from '../observer.ts';

/** The memory for spooled chunks, in bytes, shared by all requests of a server. */
export class SpoolBudget {
  #leftBytes: number;

  constructor(totalBytes: number) {
    this.#leftBytes = totalBytes;
  }

  take(bytes: number): boolean {
    if (bytes > this.#leftBytes) return false;
    this.#leftBytes -= bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#leftBytes += bytes;
  }
}

export interface IntakeOptions {
  readonly uploads: Uploads;
  readonly openSpool: Storage['bytes']['spool'];
  readonly spoolBudget: SpoolBudget;
  readonly maxFileBytes: number;
}

/** Unknown parts are ignored, with all their bytes, up to this limit. No real client sends more. */
const MAX_OTHER_BYTES = 16 * 1024 * 1024;

/** The most memory for one chunk. Allocating and freeing more costs more than writing a file and renaming it. */
const MAX_MEMORY_BYTES = 1024 * 1024;

/**
 * The most bytes that a form is expected to have besides its file. If the declared length exceeds the free room by more, the
 * chunk is refused unread (rule C13).
 */
export const FORM_OVERHEAD_BYTES = 1024 * 1024;

/** A late commit gives up when another request is sending the same chunk: waiting would stop the clock. */
const GIVES_WAY = AbortSignal.abort();

interface IntakeBody {
  readonly feed: BodyFeed;
  readonly form: ChunkForm;
  /** The Content-Length; 0 when the length is unknown. */
  readonly declaredBytes: number;
}

export class ChunkIntake implements LeaseOptions {
  readonly #options: IntakeOptions;
  readonly #observer: Observer;
  readonly #caller: Caller;
  readonly #feed: BodyFeed;
  readonly #form: ChunkForm;
  readonly #declaredBytes: number;
  #lease: ChunkLease | null = null;
  #memory: Buffer[] = [];
  #memoryBytes = 0;
  /** The pieces that contain the slices in `#memory`. */
  #keptPieces: Buffer[] = [];
  #spool: Spool | null = null;
  #isAnnounced = false;
  #mustKeepAside = false;
  #isDeferred = false;
  readonly silentMs = (): number => this.#feed.silentMs();

  constructor(options: IntakeOptions, about: { caller: Caller; observer: Observer }, body: IntakeBody) {
    this.#options = options;
    this.#observer = about.observer;
    this.#caller = about.caller;
    this.#feed = body.feed;
    this.#form = body.form;
    this.#declaredBytes = body.declaredBytes;
  }

  get signal(): AbortSignal {
    return this.#isDeferred ? GIVES_WAY : this.#feed.signal;
  }

  get isSpooled(): boolean {
    return this.#spool !== null;
  }

  /** @throws AppError every refusal of a chunk; ClientGone; any error that the observer throws */
  async receive(reader: MultipartReader): Promise<{ receipt: Receipt; identity: ChunkIdentity }> {
    this.#observer.onRefused((error) => this.#feed.fail(error));
    try {
      // Take the first batch at once: in most forms it holds the fields, which may be a reason to refuse the rest.
      for (let pieces = await this.#feed.next(1); pieces !== null; pieces = await this.#feed.next()) {
        for (const piece of pieces) reader.push(piece);
        const fileBytes = this.#form.takeQueued();
        await this.#take(fileBytes);
        // Pieces without a byte of the file may belong to unknown parts, which no budget counts, so they are freed at once.
        if (this.#memory.length > 0 && fileBytes.length > 0) this.#keptPieces.push(...pieces);
        else this.#feed.giveBack(pieces);
      }
      reader.end();
      const identity = this.#form.complete();
      await this.#announce(identity);
      const change = { run: () => this.#commit(identity), defer: () => this.#defer(identity) };
      return { identity, receipt: await this.#observer.commit(change, this.#bodyNow()) };
    } finally {
      this.#feed.close();
      if (!this.#isDeferred) await this.#letGo();
    }
  }

  /** The part of the body that has come until now. */
  #bodyNow(): BodyFacts {
    return this.#form.bodyAt(this.#form.digest.bytes, this.#feed.receivedBytes);
  }

  async #announce(identity: ChunkIdentity): Promise<void> {
    if (this.#isAnnounced) return;
    this.#isAnnounced = true;
    const { keepAside } = await this.#observer.identified({ fileId: identity.fileId, ...identity.chunk });
    this.#mustKeepAside = keepAside;
  }

  async #take(buffers: Buffer[]): Promise<void> {
    const { identity, hasFile } = this.#form;
    if (identity !== null) await this.#announce(identity);
    const at = (fileBytes: number): BodyFacts => this.#form.bodyAt(fileBytes, this.#feed.receivedBytes);
    await this.#observer.fileBytes(this.#form.digest.bytes, at);
    if (identity !== null && hasFile && this.#lease === null && !this.#mustKeepAside)
      await this.#askForLease(identity);
    await this.#store(buffers);
    this.#refuseStuffing();
  }

  async #store(buffers: Buffer[]): Promise<void> {
    const work = this.#lease?.work;
    if (work?.kind === 'compare') this.#refuseLonger(work);
    // The end of a file can come in one piece with the fields. A spool becomes the whole segment, so it must get these bytes
    // too.
    else if (work === undefined || this.#spool !== null) await this.#keepAside(buffers);
    else if (buffers.length > 0) await work.write(buffers);
  }

  /** A re-sent chunk that is longer than the stored chunk is different: the rest of it need not be read. */
  #refuseLonger(work: ChunkComparison): void {
    if (this.#form.digest.bytes > work.bytes) work.finish(this.#form.digest);
  }

  #refuseStuffing(): void {
    if (this.#feed.receivedBytes - this.#form.digest.bytes <= MAX_OTHER_BYTES) return;
    throw malformed(
      `everything beside the file part takes more than ${MAX_OTHER_BYTES} bytes; send the file and its three fields`,
    );
  }

  async #askForLease(identity: ChunkIdentity): Promise<void> {
    const ref = { caller: this.#caller, fileId: identity.fileId };
    const lease = await this.#options.uploads.leaseChunk(ref, identity.chunk, this);
    this.#lease = lease;
    if (lease.work.kind === 'compare') return;
    lease.work.onSuperseded((error) => this.#feed.fail(error));
    if (this.#declaredBytes - FORM_OVERHEAD_BYTES > lease.work.room) throw lease.work.tooLarge();
    if (this.#memory.length === 0) return;
    await lease.work.write(this.#memory);
    this.#forgetMemory();
  }

  async #commit(identity: ChunkIdentity): Promise<Stored & { result: Receipt }> {
    if (this.#lease === null) await this.#askForLease(identity);
    const work = this.#lease?.work;
    if (work === undefined) throw new Error('a chunk without a lease');
    const { digest } = this.#form;
    if (work.kind === 'compare') return { result: work.finish(digest), committed: null };
    const result = await work.commit(digest, this.#spool ?? undefined);
    return { result, committed: { offset: work.contentOffset, bytes: digest.bytes } };
  }

  /** The caller takes the change over: the spooled bytes stay until the change is made or dropped. */
  #defer(identity: ChunkIdentity): DeferredChange {
    this.#isDeferred = true;
    return {
      run: async () => {
        try {
          return await this.#commit(identity);
        } catch {
          return null; // The client was already told that its chunk was not stored.
        } finally {
          await this.#letGo();
        }
      },
      drop: () => this.#letGo(),
    };
  }

  /** Spools bytes while the upload is not known yet or must not be touched yet. */
  async #keepAside(buffers: Buffer[]): Promise<void> {
    if (buffers.length === 0) return;
    if (this.#form.digest.bytes > this.#options.maxFileBytes)
      throw tooLarge(null, this.#options.maxFileBytes);
    let bytes = 0;
    for (const buffer of buffers) bytes += buffer.length;
    const isSmall = this.#memoryBytes + bytes <= MAX_MEMORY_BYTES;
    if (this.#spool === null && isSmall && this.#options.spoolBudget.take(bytes)) {
      this.#memory.push(...buffers);
      this.#memoryBytes += bytes;
      return;
    }
    this.#spool ??= await this.#options.openSpool();
    if (this.#memory.length > 0) await this.#spool.append(this.#memory);
    this.#forgetMemory();
    await this.#spool.append(buffers);
  }

  #forgetMemory(): void {
    this.#options.spoolBudget.giveBack(this.#memoryBytes);
    this.#memory = [];
    this.#memoryBytes = 0;
    this.#feed.giveBack(this.#keptPieces);
    this.#keptPieces = [];
  }

  async #letGo(): Promise<void> {
    this.#forgetMemory();
    await this.#lease?.end();
    await this.#spool?.discard();
  }
}
