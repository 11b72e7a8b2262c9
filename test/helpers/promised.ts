// helpers/promised.ts: clients that remember what the server told them, and an oracle that checks a data folder against it.
//
// A server with fs-tap.mjs writes down when each request came and when its answer began. So for any moment of its life it is known
// what had been requested and what had been answered. Everything that was answered must be there (rules C2, F6, D1).
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { openDiskStorage } from '../../src/storage/disk/disk-storage.ts';
import type { Storage } from '../../src/uploads/ports.ts';
import type { Receipt, UploadState } from '../../src/uploads/upload.ts';
import type { Caller } from '../../src/core/namespace.ts';
import { namespaceOf } from './disk.ts';
import type { TraceLine } from './fs-trace.ts';
import { chunkParts, fieldsFirst, formOf, type Form } from './multipart.ts';
import type { ServerProcess } from './process.ts';
import { leaseChunk, digestOf, entryOf, openService, request, type Service } from './uploads.ts';

/** A file that a client wants to upload. `key` null: the chunks are sent without a key (rule K3). */
export interface Plan {
  readonly fileId: string;
  readonly key: string | null;
  readonly chunks: readonly Buffer[];
  readonly isFileFirst: boolean;
}

/** The key that finalises uploads without a key. */
const FINALISER = 'finaliser';

export type Action =
  | { readonly kind: 'chunk'; readonly plan: Plan; readonly index: number }
  | { readonly kind: 'status' | 'finalize' | 'delete'; readonly plan: Plan }
  | { readonly kind: 'expire'; readonly plans: readonly Plan[] }
  | { readonly kind: 'direct'; readonly key: string; readonly bytes: Buffer };

export interface Answer {
  readonly status: number;
  readonly json: Readonly<Record<string, unknown>>;
}

/** All clients of a folder. One process after another may serve it. */
export class Clients {
  readonly #asked = new Map<string, Action>();
  readonly #answers = new Map<string, Answer>();
  #server: ServerProcess;

  constructor(server: ServerProcess) {
    this.#server = server;
  }

  moveTo(server: ServerProcess): void {
    this.#server = server;
  }

  asked(id: string): Action | undefined {
    return this.#asked.get(id);
  }

  answer(id: string): Answer | undefined {
    return this.#answers.get(id);
  }

  /** Null: no answer came, or only a part of one. */
  async do(action: Action, extra: Readonly<Record<string, string>> = {}): Promise<Answer | null> {
    const id = `action-${this.#asked.size}`;
    this.#asked.set(id, action);
    const { url, method = 'GET', headers = {}, body } = requestOf(action, this.#server);
    try {
      const answer = await fetch(url, {
        method,
        headers: { ...headers, 'x-request-id': id, ...extra },
        ...(body === undefined ? {} : { body: new Uint8Array(body) }),
      });
      const answered = { status: answer.status, json: (await answer.json()) as Answer['json'] };
      this.#answers.set(id, answered);
      return answered;
    } catch {
      return null;
    }
  }
}

interface Sent {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

function requestOf(action: Action, { url, adminUrl }: ServerProcess): Sent {
  switch (action.kind) {
    case 'chunk': {
      const form = chunkForm(action.plan, action.index);
      return { url: `${url}/media/chunks`, method: 'POST', ...multipart(form, keyHeader(action.plan.key)) };
    }
    case 'status':
      return {
        url: `${url}/media/chunks?fileId=${action.plan.fileId}`,
        headers: keyHeader(action.plan.key),
      };
    case 'finalize': {
      const fields = { fileId: action.plan.fileId, platforms: '["instagram"]' };
      const form = formOf(Object.entries(fields).map(([name, value]) => ({ name, value })));
      const headers = keyHeader(action.plan.key ?? FINALISER);
      return { url: `${url}/media/videos`, method: 'POST', ...multipart(form, headers) };
    }
    case 'direct': {
      const file = { name: 'file', value: action.bytes, filename: 'a.mp4', type: 'video/mp4' };
      const form = formOf([{ name: 'platforms', value: '["instagram"]' }, file]);
      return { url: `${url}/media/videos`, method: 'POST', ...multipart(form, keyHeader(action.key)) };
    }
    case 'delete':
      return {
        url: `${adminUrl}/uploads/${action.plan.fileId}`,
        method: 'DELETE',
        headers: keyHeader(action.plan.key),
      };
    case 'expire': {
      const headers = {
        'content-type': 'application/json',
        ...keyHeader(action.plans[0]?.key ?? null),
      };
      const body = Buffer.from(JSON.stringify({ advanceMs: 25 * 3_600_000 }));
      return { url: `${adminUrl}/clock`, method: 'PUT', headers, body };
    }
  }
}

function keyHeader(key: string | null): Record<string, string> {
  return key === null ? {} : { 'x-api-key': key };
}

function multipart(
  { contentType, body }: Form,
  headers: Record<string, string>,
): Pick<Sent, 'headers' | 'body'> {
  return { headers: { 'content-type': contentType, ...headers }, body };
}

function chunkForm({ fileId, chunks, isFileFirst }: Plan, index: number): Form {
  const bytes = chunks[index] ?? Buffer.alloc(0);
  const chunk = { fileId, chunkIndex: index, totalChunks: chunks.length, bytes };
  return formOf(isFileFirst ? chunkParts(chunk) : fieldsFirst(chunk));
}

/** What is known about one upload. A chunk that was sent may be there; a chunk that was answered must be there. */
interface Known {
  readonly asked: Set<number>;
  readonly acknowledged: Set<number>;
  /** What its status query said. */
  currentSize: number;
  mediaId: string | null;
  /** A deletion or an expiry of this upload has begun. */
  mayBeGone: boolean;
}

function unknown(): Known {
  return { asked: new Set(), acknowledged: new Set(), currentSize: 0, mediaId: null, mayBeGone: false };
}

/** What had been requested and what had been answered at one moment of a trace. */
export interface Promised {
  readonly uploads: ReadonlyMap<Plan, Known>;
  /** Entries by their id, with what their content must be. */
  readonly entries: ReadonlyMap<string, { readonly key: string; readonly bytes: Buffer }>;
}

export class Promises {
  readonly #clients: Clients;
  readonly uploads = new Map<Plan, Known>();
  readonly entries = new Map<string, { key: string; bytes: Buffer }>();

  constructor(clients: Clients) {
    this.#clients = clients;
  }

  /** The next line of the trace. */
  take(line: TraceLine): void {
    if (line.t === 'restarted') this.#forgetLeaving();
    else if (line.t === 'asked') {
      const action = this.#clients.asked(line.id ?? '');
      if (action !== undefined) this.#ask(action);
    } else if (line.t === 'begin' && line.op === 'answer' && line.status < 300) {
      const action = this.#clients.asked(line.id);
      // Without an answer the client was told nothing, so nothing is promised.
      const answer = this.#clients.answer(line.id);
      if (action !== undefined && answer !== undefined) this.#acknowledge(action, answer);
    }
  }

  /** What was being removed when the process died may be there or not. Nothing about it is promised any more. */
  #forgetLeaving(): void {
    for (const [plan, { mayBeGone, asked }] of this.uploads)
      if (mayBeGone) this.uploads.set(plan, { ...unknown(), asked });
  }

  #known(plan: Plan): Known {
    const known = this.uploads.get(plan) ?? unknown();
    this.uploads.set(plan, known);
    return known;
  }

  #ask(action: Action): void {
    if (action.kind === 'chunk') this.#known(action.plan).asked.add(action.index);
    for (const plan of removedBy(action)) this.#known(plan).mayBeGone = true;
  }

  #acknowledge(action: Action, { json }: Answer): void {
    const { id, currentSize } = (json['data'] ?? {}) as { id?: string; currentSize?: number };
    if (action.kind === 'chunk') this.#known(action.plan).acknowledged.add(action.index);
    if (action.kind === 'status') Object.assign(this.#known(action.plan), { currentSize });
    if (action.kind === 'finalize') Object.assign(this.#known(action.plan), { mediaId: id });
    for (const plan of removedBy(action)) this.uploads.delete(plan);
    const entry = madeBy(action);
    if (entry !== null && id !== undefined) this.entries.set(id, entry);
  }
}

function removedBy(action: Action): readonly Plan[] {
  if (action.kind === 'delete') return [action.plan];
  return action.kind === 'expire' ? action.plans : [];
}

function madeBy(action: Action): { key: string; bytes: Buffer } | null {
  if (action.kind === 'direct') return action;
  if (action.kind !== 'finalize') return null;
  return { key: action.plan.key ?? FINALISER, bytes: Buffer.concat(action.plan.chunks) };
}

/** What is wrong with a data folder. The message is written for the reader of a failed test. */
export class Broken extends Error {
  override readonly name = 'Broken';
}

function mustHold(isSo: boolean, message: string): void {
  if (!isSo) throw new Broken(message);
}

const FILES = /^(format|lock|reserve|(ledgers|bytes|spool)([.]\d+)?)$/;

/** The lock of a killed starter. A start on a copy of its folder first watches it and then removes it (folder-lock.test.ts). */
const isOfStarter = (name: string): boolean => name.startsWith('lock.');

/** Many power losses leave a lock that names no owner. A start watches such a lock for a second. */
const SHORT_WATCH = {
  times: { beatMs: 1_000, lockStillMs: 100, namelessMs: 10, lookMs: 5 },
  onCloseError: () => undefined,
  onCopied: () => undefined,
  onSkipped: () => undefined,
};

/**
 * Opens the folder as the server would, checks what is there against what was promised, and then continues: every upload is
 * completed and finalised.
 * @throws Broken
 */
export async function checkFolder(
  dataDir: string,
  plans: readonly Plan[],
  promised: Promised,
): Promise<void> {
  const storage = await openDiskStorage(dataDir, 'none', SHORT_WATCH);
  try {
    const left = readdirSync(dataDir).filter((name) => !FILES.test(name) && !isOfStarter(name));
    mustHold(left.length === 0, `files left behind: ${left.join(', ')}`);
    const spools = readdirSync(dataDir)
      .filter((name) => name.startsWith('spool'))
      .flatMap((name) => readdirSync(join(dataDir, name)));
    mustHold(spools.length === 0, `spools left behind: ${spools.join(', ')}`);
    const service = openService({ chunkOrder: 'any' }, storage);
    try {
      await checkAll(service, plans, promised);
    } finally {
      await service.uploads.close();
    }
  } finally {
    await storage.close();
  }
}

async function checkAll(service: Service, plans: readonly Plan[], promised: Promised): Promise<void> {
  for (const [id, { key, bytes }] of promised.entries) await checkEntry(service, { id, key, bytes });
  for (const plan of plans) await checkUpload(service, plan, promised.uploads.get(plan));
  for (const plan of plans) await complete(service, plan);
}

function callerOf({ key }: Plan): Caller {
  return key === null
    ? { namespace: 'public', fallback: null }
    : { namespace: namespaceOf(key), fallback: 'public' };
}

async function checkEntry(
  { media }: Service,
  { id, key, bytes }: { id: string; key: string; bytes: Buffer },
): Promise<void> {
  const found = await media.find(namespaceOf(key), id);
  if (found === null) throw new Broken(`entry ${id} was acknowledged and is gone`);
  const isSame = sha256(await bytesOf(media.content(found))) === sha256(bytes);
  mustHold(isSame, `entry ${id} has other bytes than were acknowledged`);
}

async function checkUpload(
  { uploads, storage }: Service,
  plan: Plan,
  known: Known | undefined,
): Promise<void> {
  const { fileId } = plan;
  const state = await uploads.inspect({ caller: callerOf(plan), fileId });
  if (state === null) {
    const isPromised = known !== undefined && (known.acknowledged.size > 0 || known.currentSize > 0);
    const mustBe = isPromised && !known.mayBeGone;
    return mustHold(!mustBe, `${fileId} was acknowledged and is gone`);
  }
  mustHold(known !== undefined, `${fileId} is there, and was deleted or never begun`);
  if (known === undefined) return;
  for (const index of known.acknowledged)
    mustHold(state.chunks.has(index), `chunk ${index} of ${fileId} was acknowledged and is gone`);
  for (const chunk of state.chunks) {
    mustHold(known.asked.has(chunk.index), `chunk ${chunk.index} of ${fileId} is there and was never sent`);
    await checkChunk(storage, { plan, state, index: chunk.index });
  }
  mustHold(
    state.currentSize >= known.currentSize,
    `${fileId} has ${state.currentSize} bytes, its status said ${known.currentSize}`,
  );
  if (known.mediaId !== null)
    mustHold(
      state.finalization?.mediaId === known.mediaId,
      `${fileId} is not the entry ${known.mediaId} any more`,
    );
}

async function checkChunk(
  storage: Storage,
  { plan, state, index }: { plan: Plan; state: UploadState; index: number },
): Promise<void> {
  const sent = plan.chunks[index] ?? Buffer.alloc(0);
  const stored = state.chunks.get(index);
  const isKnown = stored?.bytes === sent.length && stored.crc32 === crc32(sent);
  mustHold(isKnown, `chunk ${index} of ${plan.fileId} has another checksum than what was sent`);
  if (state.finalization !== null || stored === undefined) return; // Its bytes belong to the entry now.
  const place = { kind: 'uploads' as const, namespace: callerOf(plan).namespace, name: nameIn(plan) };
  const bytes = await bytesOf(storage.bytes.read(place, [stored])).catch(() => Buffer.alloc(0));
  mustHold(bytes.equals(sent), `chunk ${index} of ${plan.fileId} has other bytes than were sent`);
}

function nameIn({ fileId }: Plan): string {
  return sha256(Buffer.from(fileId)).slice(0, 40);
}

/** Sends everything again, as a client that resumes. The server only compares the chunks that it already has. */
async function complete(service: Service, plan: Plan): Promise<void> {
  const { fileId, chunks, key } = plan;
  for (const index of chunks.keys()) {
    const { completed } = await store(service, plan, index);
    const again = await store(service, plan, index);
    mustHold(again.completed === completed, `chunk ${index} of ${fileId} was answered in two ways`);
  }
  const ref = { caller: { namespace: namespaceOf(key ?? FINALISER), fallback: 'public' }, fileId };
  const state = await service.uploads.inspect(ref);
  const asked = request(state?.finalization?.fingerprint);
  const id = await entryOf(service.media, await service.uploads.finalize(ref, asked));
  await checkEntry(service, { id, key: key ?? FINALISER, bytes: Buffer.concat(chunks) });
}

async function store(service: Service, plan: Plan, index: number): Promise<Receipt> {
  const { fileId, chunks } = plan;
  const bytes = chunks[index] ?? Buffer.alloc(0);
  const lease = await leaseChunk(service, { caller: callerOf(plan), fileId, index, total: chunks.length });
  try {
    if (lease.work.kind === 'compare') return lease.work.finish(digestOf(bytes));
    if (bytes.length > 0) await lease.work.write([bytes]);
    return await lease.work.commit(digestOf(bytes));
  } finally {
    await lease.end();
  }
}

async function bytesOf(content: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of content) pieces.push(piece);
  return Buffer.concat(pieces);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
