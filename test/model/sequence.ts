// model/sequence.ts: one random sequence: clients that send requests to a few uploads, cut them off, meet faults and
// restarts, and note everything that they were told with those who have to explain it (explanations.ts).
//
// Promises: what `end` does not throw at was explained, request by request; in the end every upload is complete and an entry
// with the very bytes that were acknowledged, there is one entry for each finalise that took effect, and the journal tells
// of every exchange what its client met.
// Must not know: which requests are sent when (commands.ts).
import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import type { Exchange } from '../../src/journal/exchange.ts';
import { BOUNDARY, chunkParts, fieldsFirst, formOf, type Form } from '../helpers/multipart.ts';
import { requestBytes } from '../helpers/raw.ts';
import type { Heard, Wire } from '../helpers/wire.ts';
import { Explanations, type Seen } from './explanations.ts';
import { isDue, prefixOf, TTL_MS, type Asked, type ChunkOrder, type Op, type State } from './oracle.ts';
import { comesTrue, type Ending, type World } from './world.ts';

/** A rule's fault, and what it does to the request that meets it. */
export interface Fault {
  readonly fault: string;
  /** `none`: as if it had never come. `done`: no answer tells of it. `unheard`: also a refusal. `late`, `stalled`: see below. */
  readonly effect: 'none' | 'done' | 'unheard' | 'late' | 'stalled';
}

export const LATE_MS = TTL_MS / 4;

export interface Request {
  readonly file: File;
  readonly op: Op;
  readonly isFileFirst?: boolean;
  readonly fault?: Fault | undefined;
}

/** What an upload is called, and what is known of it. */
export interface File {
  readonly key: string;
  readonly fileId: string;
  readonly explanations: Explanations;
  /** Contents that an entry can have, by its id. */
  readonly entries: Map<string, Set<string>>;
}

/** A chunk that is being sent. */
export interface Flight {
  readonly file: File;
  readonly asked: Asked;
  readonly requestId: string;
  readonly wire: Wire;
  /** What has not been sent; null: all has, and the server keeps it waiting. */
  readonly rest: Buffer | null;
}

interface Met {
  readonly file: File;
  readonly op: Op;
  heard: Heard | null;
}

/** A request as it stands on the wire. Where it is no chunk, `headEnd` and `fileEnd` are 0. */
interface Bytes {
  readonly bytes: Buffer;
  readonly headEnd: number;
  readonly fileEnd: number;
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
      key: `${name}-${key}`,
      fileId,
      explanations: new Explanations(order),
      entries: new Map(),
    });
    this.files = [file('alice', 'a'), file('alice', 'b'), file('bob', 'a')];
  }

  /** All at once, each on a connection of its own. Resolves when all are answered. */
  async together(requests: readonly Request[], goingOn: readonly Flight[] = []): Promise<void> {
    const begin = await this.#prepare(requests);
    await Promise.all([...begin(), ...goingOn.map((flight) => this.goOn(flight))]);
  }

  /** So much of the request is sent; the rest is sent by `goOn`. */
  async begin({ file, op, isFileFirst = false }: Request, share: number): Promise<void> {
    await this.#meet(file.key);
    const asked = this.#ask(op);
    const { bytes, fileEnd, headEnd } = this.#request(file, asked, isFileFirst);
    const wire = await this.#world.take();
    const cut = headEnd + Math.floor((bytes.length - headEnd) * share);
    const isExpected = !isFileFirst && cut < fileEnd && this.#isNew(file, op);
    const before = isExpected ? await this.#quietBytes(file.key) : 0;
    const requestId = this.#note(file, asked);
    file.explanations.invoked(asked, { isWhole: false });
    this.flights.push({ file, asked, requestId, wire, rest: bytes.subarray(cut) });
    wire.send(bytes.subarray(0, cut));
    this.#tell(`begins ${requestId} ${JSON.stringify(op)} of ${file.key} ${file.fileId}`);
    const content = op.kind === 'chunk' ? op.content : '';
    const fileBytes = cut - (fileEnd - content.length);
    if (!isExpected || fileBytes <= 0 || Number.isNaN(before)) return;
    const isThere = await comesTrue(
      async () => (await this.#world.storedBytes(file.key)) >= before + fileBytes || wire.soFar().isWhole,
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
      if (this.#isRestarting) return; // It has been judged together with all that the restart ended.
      if (rest === null) file.explanations.released(asked.id);
      else file.explanations.vanished(asked.id);
    });
    this.#endings.push(isOver);
  }

  /** Time goes by, for all uploads of the file's key. False: what is late would meet what is in flight, in any order. */
  canAdvance({ key }: File): boolean {
    const own = this.files.filter((file) => file.key === key);
    const hasLate = own.some(({ explanations }) => explanations.states.some(({ late }) => late.length > 0));
    return !hasLate || own.every(({ explanations }) => explanations.isQuiet);
  }

  async restart(ending: Ending, requests: readonly Request[]): Promise<void> {
    await this.settled();
    await this.#compareJournal();
    const begin = await this.#prepare(requests);
    const goingOn = ending === 'drained' ? [...this.flights] : [];
    this.#tell(`restart: ${ending}`);
    const answers: Promise<void>[] = ending === 'killed' ? [] : begin();
    this.#isRestarting = true;
    await this.#world.restart(ending, () => {
      for (const [n, flight] of goingOn.entries())
        if (n % 2 === 0) answers.push(this.goOn(flight));
        else this.cut(flight);
    });
    for (const { wire } of this.flights.splice(0)) wire.leave();
    await Promise.all(answers);
    await this.settled();
    for (const { explanations } of this.files) explanations.restarted(this.#world.isOnDisk);
    this.#met.clear();
    if (!this.#world.isOnDisk) for (const { entries } of this.files) entries.clear();
    this.#isRestarting = false;
    for (const [key, now] of this.#nows) await this.#setClock(key, now);
    if (ending === 'killed') await this.together(requests);
  }

  /** What was cut off is over for the server, too. */
  async settled(): Promise<void> {
    await Promise.all(this.#endings.splice(0));
  }

  /** Everything is finished as a client would, and compared. */
  async end(contentsOf: (file: File, total: number) => readonly string[]): Promise<void> {
    for (const flight of [...this.flights]) this.cut(flight);
    await this.settled();
    const used = this.files.filter(
      ({ key, explanations }) => this.#nows.has(key) && !isUntouched(explanations),
    );
    for (const file of used) await this.#complete(file, contentsOf);
    await this.#compareJournal();
    for (const key of this.#nows.keys()) {
      await this.#compareEntries(key);
      await this.#world.admin('POST reset', key, {});
    }
    expect(this.#world.takeErrors(), 'errors that the server logged').toEqual([]);
  }

  async #complete(file: File, contentsOf: (file: File, total: number) => readonly string[]): Promise<void> {
    await this.together([{ file, op: { kind: 'status' } }]);
    const total = file.explanations.states[0]?.upload?.total ?? 2;
    for (const [index, content] of contentsOf(file, total).entries())
      await this.together([{ file, op: { kind: 'chunk', index, total, content } }]);
    const op: Op = { kind: 'finalise', type: 'videos', title: 'one' };
    await this.together([{ file, op }]);
    await this.together([{ file, op }]);
  }

  // Requests

  #ask(op: Op): Asked {
    this.#lastId += 1;
    return { id: this.#lastId, op };
  }

  #note(file: File, { id, op }: Asked): string {
    const requestId = `${this.#name}-${id}`;
    if (op.kind !== 'advance' && op.kind !== 'remove') this.#met.set(requestId, { file, op, heard: null });
    return requestId;
  }

  /** Connections and rules first: what is returned sends all of them in one go. */
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
        ...this.#request(file, asked, isFileFirst),
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
        // A lost answer says nothing of whether the server is done.
        const over = fault === undefined ? Promise.resolve() : this.#world.ended(requestId);
        return { file, asked, requestId, fault, over, wire, bytes };
      });
      return sent.map(async ({ wire, bytes, ...request }) => {
        if (request.fault?.effect === 'stalled') return this.#stall(request, wire, bytes);
        return this.#hear(request, wire, await wire.request(bytes));
      });
    };
  }

  /** A rule says which request it means by the upload and the chunk; another such request could meet it instead. */
  #isOnlyOne(file: File, op: Op, requests: readonly Request[]): boolean {
    const isSame = (other: File, { kind, ...one }: Op): boolean =>
      other === file && kind === op.kind && (!('index' in one) || !('index' in op) || one.index === op.index);
    const rivals = requests.filter((request) => isSame(request.file, request.op));
    return rivals.length === 1 && !this.flights.some((flight) => isSame(flight.file, flight.asked.op));
  }

  /** The rule is called like the request that it is for. */
  async #arm({ key, fileId }: File, { id, op }: Asked, fault: string): Promise<void> {
    const operation = operationOf(op);
    const chunk = op.kind === 'chunk' ? { chunkIndex: op.index } : {};
    const rule = { id: `${this.#name}-${id}`, match: { operation, fileId, ...chunk }, fault };
    await this.#world.admin('POST rules', key, rule);
  }

  /** Until its rule has fired, or it was answered because the rule could not. */
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
    request.over.catch(() => undefined); // It is asked for again when the client leaves.
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
      if (fault !== undefined) await this.#world.admin(`DELETE rules/${requestId}`, file.key); // It could not fire.
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
    const seen = seenIn(asked.op, file, heard);
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
    return op.kind === 'advance' ? this.files.filter(({ key }) => key === file.key) : [file];
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

  /** NaN: something is in flight, and the number can change by itself. */
  async #quietBytes(key: string): Promise<number> {
    await this.settled();
    return this.flights.length === 0 ? this.#world.storedBytes(key) : Number.NaN;
  }

  // Namespaces

  /** The first time that a key is used. */
  async #meet(key: string): Promise<void> {
    if (this.#nows.has(key)) return;
    this.#nows.set(key, START);
    await this.#setClock(key, START);
  }

  async #setClock(key: string, now: number): Promise<void> {
    await this.#world.admin('PUT clock', key, { mode: 'frozen', now: new Date(now).toISOString() });
  }

  #request(file: File, { id, op }: Asked, isFileFirst: boolean): Bytes {
    const headers = { 'x-api-key': file.key, 'x-request-id': `${this.#name}-${id}` };
    const path = encodeURIComponent(file.fileId);
    const form = (line: string, { contentType, body }: Form): Buffer =>
      requestBytes(line, { ...headers, 'content-type': contentType }, body);
    const whole = (bytes: Buffer): Bytes => ({ bytes, headEnd: 0, fileEnd: 0 });
    switch (op.kind) {
      case 'chunk': {
        const { index: chunkIndex, total: totalChunks, content } = op;
        const chunk = { fileId: file.fileId, chunkIndex, totalChunks, bytes: Buffer.from(content) };
        const bytes = form(
          'POST /media/chunks',
          formOf(isFileFirst ? chunkParts(chunk) : fieldsFirst(chunk)),
        );
        const headEnd = bytes.indexOf('\r\n\r\n') + 4;
        return { bytes, headEnd, fileEnd: bytes.length - `\r\n--${BOUNDARY}--\r\n`.length };
      }
      case 'status':
        return whole(requestBytes(`GET /media/chunks?fileId=${path}`, headers));
      case 'finalise': {
        const fields = { fileId: file.fileId, platforms: '["instagram"]', title: op.title };
        const parts = Object.entries(fields).map(([name, value]) => ({ name, value }));
        return whole(form(`POST /media/${op.type}`, formOf(parts)));
      }
      case 'remove':
        return whole(requestBytes(`DELETE /__admin/uploads/${path}`, headers));
      case 'advance': {
        const json = { ...headers, 'content-type': 'application/json' };
        return whole(requestBytes('PUT /__admin/clock', json, JSON.stringify({ advanceMs: op.ms })));
      }
    }
  }

  // What is compared

  /** Of this process: what clients met is what it has on record, and what it says it stored was stored once. */
  async #compareJournal(): Promise<void> {
    const exchanges: Exchange[] = [];
    for (const key of this.#nows.keys())
      exchanges.push(...(await this.#world.admin<{ requests: Exchange[] }>('GET requests', key)).requests);
    const pending = new Set(this.flights.map(({ requestId }) => requestId));
    const known = new Map(exchanges.map((exchange) => [exchange.requestId, exchange]));
    expect(known.size, 'no exchange is on record twice').toBe(exchanges.length);
    for (const [requestId, met] of this.#met)
      if (!pending.has(requestId))
        expect(recordedOf(known.get(requestId)), requestId).toEqual(expectedOf(met, known.get(requestId)));
    // A stalled one is on record when it ends.
    const isStalled = (file: File): boolean =>
      this.flights.some((one) => one.file === file && one.rest === null);
    for (const file of this.files) if (!isStalled(file)) this.#compareStores(file, exchanges);
    for (const key of this.#nows.keys()) await this.#verify(key);
  }

  #compareStores({ key, fileId, explanations }: File, exchanges: readonly Exchange[]): void {
    const own = exchanges.filter(({ requestId = '' }) => this.#met.get(requestId)?.file.key === key);
    const stored = own.filter(
      ({ operation, upload, committed }) =>
        operation === 'uploadChunk' && upload?.fileId === fileId && committed !== null,
    );
    expect(
      explanations.states.map(({ stores }) => stores),
      `chunks of ${key} ${fileId} that the journal says were stored`,
    ).toContain(stored.length);
  }

  async #verify(key: string): Promise<void> {
    const own = [...this.#met.values()].filter(({ file }) => file.key === key);
    const heard = own.flatMap(({ op, heard: one }) =>
      one?.status ? [`${operationOf(op)} ${one.status}`] : [],
    );
    const expected = [...new Set(heard)].map((one) => {
      const [operation, status] = one.split(' ');
      // Of some answers only the server knows: their clients had left.
      return {
        match: { operation, status: Number(status) },
        atLeast: heard.filter((other) => other === one).length,
      };
    });
    await this.#world.admin('POST verify', key, { expect: expected });
  }

  /** One entry for each finalise that took effect, whatever became of its upload, with the bytes of that moment. */
  async #compareEntries(key: string): Promise<void> {
    type Listed = { id: string; fileId: string };
    const { media } = await this.#world.admin<{ media: Listed[] }>('GET media', key);
    for (const { fileId, explanations, entries } of this.files.filter((file) => file.key === key)) {
      const own = media.filter((entry) => entry.fileId === fileId);
      expect(
        explanations.states.map(({ entries: count }) => count),
        `entries of ${key} ${fileId}`,
      ).toContain(own.length);
      for (const [id, contents] of entries) {
        const { sha256 } = await this.#world.admin<{ sha256: string }>(`GET media/${id}?digest=sha256`, key);
        expect([...contents], `the content of entry ${id}`).toContain(sha256);
      }
    }
  }

  #tell(line: string): void {
    this.told.push(line);
  }
}

function isUntouched({ states }: Explanations): boolean {
  return states.every(({ upload, stores, entries }: State) => upload === null && stores + entries === 0);
}

function operationOf(op: Op): string {
  if (op.kind === 'chunk') return 'uploadChunk';
  if (op.kind === 'status') return 'getUploadStatus';
  return op.kind === 'finalise' && op.type === 'images' ? 'createImage' : 'createVideo';
}

function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

interface Body {
  readonly data: {
    completed: boolean;
    chunkIndex: number;
    fileId: string;
    exists: boolean;
    currentSize: number;
    id: string;
    title: string;
  };
  readonly error: { code: string; details: { mediaId?: string; sentBytes?: number } };
}

/** In the words of the oracle. What the client itself sent is left out. */
function seenIn(op: Op, { fileId }: File, { status, body }: Heard): Seen {
  const { data, error } = JSON.parse(body.toString()) as Body;
  if (Number(status) >= 300) {
    const { mediaId = null, sentBytes: _sentBytes, ...details } = error.details;
    return { status: Number(status), text: `${error.code} ${JSON.stringify(details)}`, entry: mediaId };
  }
  const seen = { status: Number(status), entry: null };
  switch (op.kind) {
    case 'chunk':
      if (data.completed && data.fileId === fileId) return { ...seen, text: 'completed' };
      return { ...seen, text: `received ${data.chunkIndex}` };
    case 'status':
      return {
        ...seen,
        text: data.fileId === fileId ? JSON.stringify([data.exists, data.currentSize]) : data.fileId,
      };
    case 'finalise':
      return { ...seen, text: `${op.type} ${data.title}`, entry: data.id };
    case 'remove':
    case 'advance':
      return { ...seen, text: '' };
  }
}

function recordedOf(exchange: Exchange | undefined): object | null {
  if (exchange === undefined) return null;
  const { outcome, response, fault, contract, operation } = exchange;
  const status = response?.status ?? null;
  return {
    operation,
    outcome,
    status,
    isFault: fault !== null,
    broken: [...contract.request, ...contract.response],
  };
}

/** Of a client that left the server may say that it did, or that it had been answered before. */
function expectedOf({ op, heard }: Met, exchange: Exchange | undefined): object {
  const known = { operation: operationOf(op), broken: [] };
  if (heard === null) {
    const isAnswered = exchange?.outcome === 'refused' || exchange?.outcome === 'answered';
    const isStalled = exchange?.fault?.effect === 'stall';
    const outcome = isAnswered ? exchange.outcome : 'client-aborted';
    return {
      ...known,
      outcome,
      status: isAnswered ? (exchange.response?.status ?? null) : null,
      isFault: isStalled,
    };
  }
  const isFault = heard.headers['x-mock-fault'] !== undefined || !heard.isWhole;
  const { status, isWhole } = heard;
  if (!isWhole) {
    const outcome = exchange?.fault?.effect === 'reset' ? 'fault-reset' : 'fault-closed';
    return { ...known, outcome, status, isFault };
  }
  const isOurs = heard.body.includes('"error"') && !heard.body.includes('"injected_fault"');
  return { ...known, outcome: isOurs ? 'refused' : 'answered', status, isFault };
}
