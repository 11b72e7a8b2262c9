// model/sequence.ts: one random sequence. Clients send requests to a few uploads, cut them off, and meet faults and restarts.
// Everything that they are told is passed to the objects that must explain it (explanations.ts).
//
// Promises: if `end` does not throw, every answer was explained, request by request; at the end every upload is complete and is an
// entry with exactly the acknowledged bytes; there is one entry for each finalise that took effect; and the journal has every
// exchange as its client met it.
// Must not know: which requests are sent when (commands.ts).
import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import type { Heard, Wire } from '../helpers/wire.ts';
import { Explanations } from './explanations.ts';
import { isDue, prefixOf, TTL_MS, type Asked, type ChunkOrder, type Op } from './oracle.ts';
import {
  compareBytes,
  compareEntries,
  compareJournal,
  compareStores,
  verify,
  type File,
  type Met,
} from './records.ts';
import { bytesOf, operationOf, seenIn, type Bytes } from './requests.ts';
import { comesTrue, type Ending, type World } from './world.ts';

/** The fault of a rule, and what it does to the request that meets it. */
export interface Fault {
  readonly fault: string;
  /**
   * `none`: as if the request had never come. `done`: it took effect, and no answer says so. `unheard`: like `done`, or it was
   * refused. `late`: it takes effect LATE_MS later. `stalled`: like `done`, and the server keeps the client waiting.
   */
  readonly effect: 'none' | 'done' | 'unheard' | 'late' | 'stalled';
}

export const LATE_MS = TTL_MS / 4;

export interface Request {
  readonly file: File;
  readonly op: Op;
  readonly isFileFirst?: boolean;
  readonly fault?: Fault | undefined;
}

/** A chunk that is being sent. */
export interface Flight {
  readonly file: File;
  readonly asked: Asked;
  readonly requestId: string;
  readonly wire: Wire;
  /** What has not been sent yet. Null: all was sent, and the server keeps the client waiting. */
  readonly rest: Buffer | null;
}

interface Ready extends Bytes {
  readonly file: File;
  readonly asked: Asked;
  readonly fault: Fault | undefined;
  readonly wire: Wire;
}

const START = Date.UTC(2030, 0, 1);

export class Sequence {
  readonly flights: Flight[] = [];
  readonly files: readonly File[];
  readonly told: string[] = [];
  readonly #world: World;
  readonly #name: string;
  readonly #nows = new Map<string, number>();
  readonly #met = new Map<string, Met>();
  readonly #bodies = new Map<string, string>();
  readonly #endings: Promise<void>[] = [];
  #lastId = 0;
  #isRestarting = false;

  constructor(world: World, name: string, order: ChunkOrder) {
    this.#world = world;
    this.#name = name;
    const file = (key: string, fileId: string): File => ({
      key, // It is the same key in every sequence: otherwise what a namespace leaves after a reset would pile up.
      fileId,
      explanations: new Explanations(order),
      entries: new Map(),
    });
    this.files = [file('alice', 'a'), file('alice', 'b'), file('bob', 'a')];
  }

  /** Sends all at once, each on its own connection. Resolves when all are answered. */
  async together(requests: readonly Request[], goingOn: readonly Flight[] = []): Promise<void> {
    const begin = await this.#prepare(requests);
    await Promise.all([...begin(), ...goingOn.map((flight) => this.goOn(flight))]);
  }

  /** Sends a part of the request; `goOn` sends the rest. If it is watched, it waits until the bytes are seen in the storage. */
  async begin(
    { file, op, isFileFirst = false }: Request,
    { share, isWatched }: { share: number; isWatched: boolean },
  ): Promise<void> {
    await this.#meet(file.key);
    const asked = this.#ask(op);
    const { bytes, fileEnd, headEnd } = this.#bytesOf(file, asked, isFileFirst);
    const wire = await this.#world.take();
    const cut = headEnd + Math.floor((bytes.length - headEnd) * share);
    const content = op.kind === 'chunk' ? op.content : '';
    const fileBytes = cut - (fileEnd - content.length);
    const isToBeSeen = isWatched && !isFileFirst && cut < fileEnd && fileBytes > 0 && this.#isNew(file, op);
    const before = isToBeSeen ? await this.#quietBytes(file.key) : null;
    const requestId = this.#note(file, asked);
    const flight = { file, asked, requestId, wire, rest: bytes.subarray(cut) };
    file.explanations.invoked(asked, { isWhole: false });
    this.flights.push(flight);
    wire.send(bytes.subarray(0, cut));
    this.#tell(`begins ${requestId} ${JSON.stringify(op)} of ${file.key} ${file.fileId}`);
    if (before !== null) await this.#seen(flight, before + fileBytes);
  }

  /** It waits until the bytes are in the storage. The server then has the upload in hand. */
  async #seen({ file, asked, wire }: Flight, storedBytes: number): Promise<void> {
    const isThere = await comesTrue(
      async () => (await this.#world.storedBytes(file.key)) >= storedBytes || wire.soFar().isWhole,
    );
    expect(isThere, 'bytes of a chunk reach the storage before its end').toBe(true);
    if (!wire.soFar().isWhole) file.explanations.held(asked.id);
  }

  /** The rest of a request. */
  async goOn(flight: Flight): Promise<void> {
    const { rest, wire, file, asked, requestId } = flight;
    if (rest === null) return this.cut(flight);
    this.#land(flight);
    file.explanations.completed(asked.id);
    this.#tell(`goes on with ${requestId}`);
    const heard = await wire.request(rest);
    await this.#hear({ file, asked, requestId }, wire, heard);
  }

  /** The client leaves. */
  cut(flight: Flight): void {
    const { rest, wire, file, asked, requestId } = flight;
    this.#land(flight);
    this.#tell(`cuts ${requestId}`);
    const ended = this.#world.ended(requestId);
    wire.leave();
    const isOver = ended.then(() => {
      if (this.#isRestarting) return; // It has been judged together with everything else that the restart ended.
      if (rest === null) file.explanations.released(asked.id);
      else file.explanations.vanished(asked.id);
    });
    this.#endings.push(isOver);
  }

  /** True when the clock of this key may be moved. Late work must not meet what is in flight: the two could come in any order. */
  canAdvance({ key }: File, isAlone: boolean): boolean {
    const own = this.#ofKey(key);
    const hasLate = own.some(({ explanations }) => explanations.states.some(({ late }) => late.length > 0));
    return !hasLate || (isAlone && own.every(({ explanations }) => explanations.isQuiet));
  }

  async restart(ending: Ending, requests: readonly Request[]): Promise<void> {
    // It is checked at once, because it must contain what was acknowledged a moment ago.
    const image = ending === 'killed' ? await this.#world.image() : undefined;
    await this.settled();
    await this.#compareJournals();
    const begin = await this.#prepare(requests);
    const goingOn = ending === 'drained' ? [...this.flights] : [];
    this.#tell(`restart: ${ending}`);
    const answers: Promise<void>[] = ending === 'killed' ? [] : begin();
    this.#isRestarting = true;
    const meanwhile = (): void => {
      for (const [n, flight] of goingOn.entries())
        if (n % 2 === 0) answers.push(this.goOn(flight));
        else this.cut(flight);
    };
    await this.#world.restart(ending, meanwhile, image);
    for (const { wire } of this.flights.splice(0)) wire.leave();
    await Promise.all(answers);
    await this.settled();
    for (const { explanations } of this.files) explanations.restarted(this.#world.isOnDisk);
    this.#met.clear();
    if (!this.#world.isOnDisk) this.#forgetEntries();
    this.#isRestarting = false;
    for (const [key, now] of this.#nows) await this.#setClock(key, now);
    if (ending === 'killed') await this.together(requests);
  }

  #forgetEntries(): void {
    this.#bodies.clear();
    for (const { entries } of this.files) entries.clear();
  }

  /** The server, too, has let go of what was cut off. */
  async settled(): Promise<void> {
    await Promise.all(this.#endings.splice(0));
  }

  /** Every upload is finished as a client would finish it, and its bytes are compared. */
  async end(contentsOf: (file: File, total: number) => readonly string[]): Promise<void> {
    for (const flight of this.flights.slice()) this.cut(flight);
    await this.settled();
    for (const file of this.files.filter(({ key }) => this.#nows.has(key))) {
      // What a killed process had received of an unfinished upload is cut off when somebody asks for the upload, or by the
      // collector (C15, D2).
      if (isUntouched(file.explanations)) await this.together([{ file, op: { kind: 'status' } }]);
      else await this.#complete(file, contentsOf);
    }
    await this.#compareJournals();
    await compareBytes(this.#world, this.#nows.keys());
    for (const key of this.#nows.keys()) {
      await verify(this.#world, key, this.#met);
      await compareEntries(this.#world, key, this.#ofKey(key));
      await this.#world.admin('POST reset', key, {});
    }
    expect(this.#world.takeErrors(), 'errors that the server logged').toEqual([]);
  }

  async #complete(file: File, contentsOf: (file: File, total: number) => readonly string[]): Promise<void> {
    const total = file.explanations.states[0]?.upload?.total ?? 2;
    for (const [index, content] of contentsOf(file, total).entries())
      await this.together([{ file, op: { kind: 'chunk', index, total, content } }]);
    await this.together([{ file, op: { kind: 'finalise', type: 'videos', title: 'one' } }]);
  }

  // Requests

  #ask(op: Op): Asked {
    this.#lastId += 1;
    return { id: this.#lastId, op };
  }

  #bytesOf({ key, fileId }: File, asked: Asked, isFileFirst: boolean): Bytes {
    return bytesOf({ key, fileId, op: asked.op, requestId: this.#nameOf(asked), isFileFirst });
  }

  #nameOf({ id }: Asked): string {
    return `${this.#name}-${id}`;
  }

  #note(file: File, asked: Asked): string {
    const { op } = asked;
    const requestId = this.#nameOf(asked);
    if (op.kind !== 'advance' && op.kind !== 'remove') this.#met.set(requestId, { file, op, heard: null });
    return requestId;
  }

  /** Connections and rules first, so that the returned function sends all requests at the same time. */
  async #prepare(requests: readonly Request[]): Promise<() => Promise<void>[]> {
    const ready: Ready[] = [];
    for (const { file, op, isFileFirst = false, fault } of requests) {
      await this.#meet(file.key);
      const asked = this.#ask(op);
      const isFaulty = fault !== undefined && this.#isOnlyOne(file, op, requests);
      if (isFaulty) await this.#arm(file, asked, fault.fault);
      const wire = await this.#world.take();
      ready.push({
        file,
        asked,
        fault: isFaulty ? fault : undefined,
        wire,
        ...this.#bytesOf(file, asked, isFileFirst),
      });
    }
    return () => {
      const sent = ready.map(({ file, asked, fault, wire, bytes }) => {
        const requestId = this.#note(file, asked);
        const about = this.#filesOf(file, asked.op);
        for (const { explanations } of about) explanations.invoked(asked);
        this.#tell(
          `sends ${requestId} ${JSON.stringify(asked.op)} of ${file.key} ${file.fileId} ${fault?.fault ?? ''}`,
        );
        // A lost answer does not tell whether the server is done.
        const over = fault === undefined ? Promise.resolve() : this.#world.ended(requestId);
        return { file, asked, requestId, fault, over, wire, bytes };
      });
      return sent.map(async ({ wire, bytes, ...request }) => {
        if (request.fault?.effect === 'stalled') return this.#stall(request, wire, bytes);
        return this.#hear(request, wire, await wire.request(bytes));
      });
    };
  }

  /** A rule names its request by upload and chunk, so another request for the same chunk could meet it instead. */
  #isOnlyOne(file: File, op: Op, requests: readonly Request[]): boolean {
    const isSame = (other: File, { kind, ...one }: Op): boolean =>
      other === file && kind === op.kind && (!('index' in one) || !('index' in op) || one.index === op.index);
    const rivals = requests.filter((request) => isSame(request.file, request.op));
    return rivals.length === 1 && !this.flights.some((flight) => isSame(flight.file, flight.asked.op));
  }

  /** The rule has the same id as the request that it is for. */
  async #arm({ key, fileId }: File, asked: Asked, fault: string): Promise<void> {
    const { op } = asked;
    const operation = operationOf(op);
    const chunk = op.kind === 'chunk' ? { chunkIndex: op.index } : {};
    const rule = { id: this.#nameOf(asked), match: { operation, fileId, ...chunk }, fault };
    await this.#world.admin('POST rules', key, rule);
  }

  /** Waits until the rule of the request has fired, or the request was answered because the rule could not fire. */
  async #stall(
    request: { file: File; asked: Asked; requestId: string; over: Promise<void> },
    wire: Wire,
    bytes: Buffer,
  ): Promise<void> {
    const { file, asked, requestId } = request;
    wire.send(bytes);
    const isSettled = await comesTrue(async () => {
      if (wire.soFar().isWhole) return true;
      return (await this.#world.admin<{ fired: number }>(`GET rules/${requestId}`, file.key)).fired > 0;
    });
    expect(isSettled, 'a rule fires, or the request is answered').toBe(true);
    if (wire.soFar().isWhole) return this.#hear(request, wire, await wire.hear());
    request.over.catch(() => undefined); // The error is handled when the client leaves and asks for it again.
    file.explanations.spent(asked.id);
    this.flights.push({ file, asked, requestId, wire, rest: null });
    this.#tell(`${requestId} is stalled`);
  }

  async #hear(
    request: { file: File; asked: Asked; requestId: string; fault?: Fault | undefined; over?: Promise<void> },
    wire: Wire,
    heard: Heard,
  ): Promise<void> {
    const { file, asked, requestId, fault, over } = request;
    const { id, op } = asked;
    this.#tell(`${requestId}: ${heard.status} ${heard.body.toString().slice(0, 200)}`);
    const met = this.#met.get(requestId);
    if (met !== undefined) met.heard = heard;
    const isTouched = heard.headers['x-mock-fault'] !== undefined;
    if (!heard.isWhole && fault === undefined) {
      expect(this.#isRestarting, `an answer to ${requestId} (${JSON.stringify(op)})`).toBe(true);
      wire.leave();
      return;
    }
    if (isTouched || !heard.isWhole) {
      if (heard.status === null) await over; // Where there is an answer, its handler is done.
      this.#touched(request, heard);
    } else if (heard.body.includes('"shutting_down"') && this.#isRestarting) file.explanations.vanished(id);
    else {
      this.#judge(request, heard);
      if (fault !== undefined) await this.#world.admin(`DELETE rules/${requestId}`, file.key); // The rule could not fire.
    }
    this.#world.giveBack(wire, heard);
  }

  #touched(
    { file: { explanations }, asked: { id }, fault }: { file: File; asked: Asked; fault?: Fault | undefined },
    heard: Heard,
  ): void {
    if (fault?.effect === 'none') explanations.vanished(id);
    else if (fault?.effect === 'late') explanations.postponed(id, LATE_MS);
    else if (fault?.effect === 'unheard' && heard.status !== null) explanations.unheard(id, heard.status);
    else explanations.unheard(id);
  }

  #judge({ file, asked }: { file: File; asked: Asked }, heard: Heard): void {
    const seen = seenIn(asked.op, file.fileId, heard);
    for (const { explanations } of this.#filesOf(file, asked.op)) explanations.answered(asked.id, seen);
    if (asked.op.kind === 'advance')
      this.#nows.set(file.key, (this.#nows.get(file.key) ?? START) + asked.op.ms);
    if (seen.entry === null) return;
    for (const { upload } of file.explanations.states) {
      const contents = file.entries.get(seen.entry) ?? new Set();
      file.entries.set(seen.entry, contents.add(sha256Of(prefixOf(upload).join(''))));
    }
    if (heard.status === 409) return;
    const text = JSON.stringify((JSON.parse(heard.body.toString()) as { data: object }).data);
    const known = this.#bodies.get(seen.entry) ?? text;
    this.#bodies.set(seen.entry, known);
    expect(text, 'the entry looks the same every time').toBe(known);
  }

  #filesOf(file: File, op: Op): readonly File[] {
    return op.kind === 'advance' ? this.#ofKey(file.key) : [file];
  }

  #ofKey(key: string): readonly File[] {
    return this.files.filter((file) => file.key === key);
  }

  #land(flight: Flight): void {
    this.flights.splice(this.flights.indexOf(flight), 1);
  }

  /** The chunk will be written, not compared or refused, and no other request has it in hand. */
  #isNew(file: File, op: Op): boolean {
    if (op.kind !== 'chunk' || !file.explanations.isQuiet) return false;
    return file.explanations.states.every((state) => {
      const { upload } = isDue(state) ? { upload: null } : state;
      if (upload === null) return op.index === 0;
      return upload.total === op.total && prefixOf(upload).length === op.index;
    });
  }

  /** Null: something is in flight, so the number can still change. */
  async #quietBytes(key: string): Promise<number | null> {
    await this.settled();
    return this.flights.length === 0 ? this.#world.storedBytes(key) : null;
  }

  // Namespaces

  /** This runs when a key is used for the first time. */
  async #meet(key: string): Promise<void> {
    if (this.#nows.has(key)) return;
    this.#nows.set(key, START);
    await this.#setClock(key, START);
  }

  async #setClock(key: string, now: number): Promise<void> {
    await this.#world.admin('PUT clock', key, { mode: 'frozen', now: new Date(now).toISOString() });
  }

  /** For this process. What is in flight is on record when it ends. */
  async #compareJournals(): Promise<void> {
    const pending = new Set(this.flights.map(({ requestId }) => requestId));
    const ended = new Map([...this.#met].filter(([requestId]) => !pending.has(requestId)));
    for (const key of this.#nows.keys()) await compareJournal(this.#world, key, ended);
    const isStalled = (file: File): boolean =>
      this.flights.some((flight) => flight.file === file && flight.rest === null);
    for (const file of this.files)
      if (this.#nows.has(file.key) && !isStalled(file)) await compareStores(this.#world, file);
  }

  #tell(line: string): void {
    this.told.push(line);
  }
}

function isUntouched({ states }: Explanations): boolean {
  return states.every(({ upload, stores, entries }) => upload === null && stores + entries === 0);
}

function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
