// model/oracle.ts: what an upload is and what each request does to it, as simply as possible: the rules C1-C9, C14, C15, F4 and F6
// of docs/behaviour.md, one request after the other.
//
// Promises: pure. An answer contains everything that the rules decide about the real answer, so two real answers are equivalent if
// and only if these are equal. An entry is named by the request that made it, because only the server knows its id.
// Must not know: the server's code, HTTP, that requests overlap (explanations.ts).

export const TTL_MS = 1_000_000;

export type ChunkOrder = 'sequential' | 'any';

export type Op =
  | { readonly kind: 'chunk'; readonly index: number; readonly total: number; readonly content: string }
  | { readonly kind: 'status' }
  | { readonly kind: 'finalise'; readonly type: 'videos' | 'images'; readonly title: string }
  /** DELETE of the admin plane. */
  | { readonly kind: 'remove' }
  /** The clock of the upload's namespace is moved ahead. */
  | { readonly kind: 'advance'; readonly ms: number };

type Chunk = Extract<Op, { kind: 'chunk' }>;

/** A request. Its number distinguishes it from another request that asks for the same. */
export interface Asked {
  readonly id: number;
  readonly op: Op;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  /** The number of the request that made the entry that is named. */
  readonly entry: number | null;
}

interface Upload {
  readonly total: number;
  /** Null: not stored. */
  readonly chunks: readonly (string | null)[];
  readonly completedBy: number | null;
  readonly entry: { readonly by: number; readonly payload: string } | null;
  readonly touchedAt: number;
}

export interface State {
  readonly now: number;
  /** Null: there is none. */
  readonly upload: Upload | null;
  /** What was answered with 503 and will be done when the clock reaches that time. */
  readonly late: readonly { readonly at: number; readonly asked: Asked }[];
  /** How many entries were ever made from this fileId. */
  readonly entries: number;
  /** Chunks stored since the process began, including those of forgotten uploads. */
  readonly stores: number;
}

export interface Step {
  readonly state: State;
  readonly answer: Answer;
}

export const NOTHING: State = { now: 0, upload: null, late: [], entries: 0, stores: 0 };

export function step(state: State, asked: Asked, order: ChunkOrder): Step {
  const { op } = asked;
  switch (op.kind) {
    case 'chunk':
      return sendChunk(state, op, order);
    case 'status':
      return same(state, JSON.stringify([state.upload !== null, prefixOf(state.upload).join('').length]));
    case 'finalise':
      return finalise(state, op, { id: asked.id, order });
    case 'remove':
      if (state.upload === null) return { state, answer: refusal(404, 'upload_not_found') };
      return { state: { ...state, upload: null }, answer: { status: 200, text: '', entry: null } };
    case 'advance':
      return { state: advance(state, op.ms, order), answer: { status: 200, text: '', entry: null } };
  }
}

/** The content up to the first gap, chunk by chunk. */
export function prefixOf(upload: Upload | null): string[] {
  const chunks = upload?.chunks ?? [];
  const gap = chunks.indexOf(null);
  return (gap === -1 ? chunks : chunks.slice(0, gap)).map(String);
}

function sendChunk(state: State, op: Chunk, order: ChunkOrder): Step {
  const refusal = refusalOf(state.upload, op, order);
  if (refusal !== null) return { state, answer: refusal };
  const { upload } = state;
  const { index, total, content } = op;
  if (upload !== null && isStored(upload, index)) return same(state, receipt(upload, index));
  const chunks = (upload?.chunks ?? Array<null>(total).fill(null)).with(index, content);
  const completedBy = chunks.includes(null) ? null : index;
  const grown = { total, chunks, completedBy, entry: null, touchedAt: state.now };
  return same({ ...state, upload: grown, stores: state.stores + 1 }, receipt(grown, index));
}

function refusalOf(upload: Upload | null, op: Chunk, order: ChunkOrder): Answer | null {
  const { index, total, content } = op;
  const prefix = prefixOf(upload);
  if (upload !== null && upload.total !== total)
    return refusal(409, 'total_chunks_mismatch', { totalChunks: upload.total });
  if (order === 'sequential' && index > prefix.length)
    return refusal(409, 'chunk_out_of_order', whereToGoOn(prefix));
  if (content === '' && total > 1) return refusal(400, 'empty_chunk');
  const stored = upload?.chunks[index] ?? content;
  if (stored === content) return null;
  return refusal(409, 'chunk_conflict', { chunkIndex: index, storedBytes: stored.length });
}

function isStored({ chunks }: Upload, index: number): boolean {
  return chunks[index] !== null;
}

function receipt({ completedBy }: Upload, index: number): string {
  return completedBy === index ? 'completed' : `received ${index}`;
}

function finalise(
  state: State,
  { type, title }: Extract<Op, { kind: 'finalise' }>,
  { id, order }: { readonly id: number; readonly order: ChunkOrder },
): Step {
  const { upload, now } = state;
  if (upload === null) return { state, answer: refusal(404, 'upload_not_found') };
  const payload = `${type} ${title}`;
  const { entry, total } = upload;
  if (entry !== null) {
    const isSame = entry.payload === payload;
    const answer = isSame ? { status: 200, text: payload } : { status: 409, text: 'already_finalized {}' };
    return { state, answer: { ...answer, entry: entry.by } };
  }
  if (upload.completedBy === null) {
    const received = order === 'any' ? { received: runsOf(upload.chunks) } : {};
    const details = { ...whereToGoOn(prefixOf(upload)), totalChunks: total, ...received };
    return { state, answer: refusal(409, 'upload_incomplete', details) };
  }
  const finished = { ...upload, entry: { by: id, payload }, touchedAt: now };
  return {
    state: { ...state, upload: finished, entries: state.entries + 1 },
    answer: { status: 201, text: payload, entry: id },
  };
}

function whereToGoOn(prefix: readonly string[]): { expectedChunkIndex: number; currentSize: number } {
  return { expectedChunkIndex: prefix.length, currentSize: prefix.join('').length };
}

/** First and last of each run of stored chunks. */
function runsOf(chunks: Upload['chunks']): [number, number][] {
  const runs: [number, number][] = [];
  for (const [index, content] of chunks.entries()) {
    const last = runs.at(-1);
    if (content === null) continue;
    if (last?.[1] === index - 1) last[1] = index;
    else runs.push([index, index]);
  }
  return runs;
}

export function isDue({ upload, now }: State): boolean {
  return upload !== null && now >= upload.touchedAt + TTL_MS;
}

/** The entries that were made from it stay. */
export function expired(state: State): State {
  return isDue(state) ? { ...state, upload: null } : state;
}

/** Late work is done at its own time and does not find what expired before. Nothing else is in flight where something is late. */
function advance(state: State, ms: number, order: ChunkOrder): State {
  const target = state.now + ms;
  if (state.late.length === 0) return { ...state, now: target };
  let current: State = { ...state, late: state.late.filter(({ at }) => at > target) };
  const due = state.late.filter(({ at }) => at <= target).toSorted((a, b) => a.at - b.at);
  for (const { at, asked } of due) current = step(expired({ ...current, now: at }), asked, order).state;
  return { ...current, now: target };
}

function same(state: State, text: string): Step {
  return { state, answer: { status: 200, text, entry: null } };
}

function refusal(status: number, code: string, details: object = {}): Answer {
  return { status, text: `${code} ${JSON.stringify(details)}`, entry: null };
}
