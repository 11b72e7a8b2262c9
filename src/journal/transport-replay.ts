// journal/transport-replay.ts: whether the client's transport sent a POST again by itself, without the client's knowledge.
//
// curl, browsers and others do so when a connection that has served exchanges before dies without one byte of an answer
// (RFC 9110 §9.2.2, RFC 9112 §9.3.1). A retry by the application looks almost the same, but an application waits, asks for
// the status first, or makes a new form. The result is only a suspicion: an application may also retry at once with the
// same bytes.
//
// A POST is suspected if and only if it is the first exchange of its connection and the namespace has a *lost original* on
// another connection. A lost original is an exchange that
//   1. was not the first of its connection and got no byte of an answer;
//   2. makes the same request: method, operation, path, upload, chunk, declared length, and the same head if both are known;
//   3. has the same bytes: length and CRC-32 of every part, or, if it was cut, of every part that arrived whole;
//   4. ended no longer than the window before the POST began; and
//   5. was not followed by an exchange that shows that the client knew of the loss, such as a status query of that upload or
//      the same chunk once more. Other chunks of the upload, sent in parallel, do not show that.
import type { Body, Exchange, ExchangeDraft, Part } from './exchange.ts';

/** An exchange with machine times, because the namespace's clock may stand still. */
export interface Sighting {
  readonly exchange: ExchangeDraft;
  /** Milliseconds of a clock that never jumps. */
  readonly beganMs: number;
  readonly endedMs: number;
  /** Equal when the heads of two requests are equal byte for byte, including the boundary. Absent: not known. */
  readonly headMark?: string | undefined;
}

/** A request before its body has arrived. */
export interface Arrival extends Pick<Sighting, 'beganMs'> {
  readonly exchange: Pick<ExchangeDraft, 'connection' | 'method' | 'operation' | 'path' | 'upload'> & {
    readonly body: Pick<Body, 'declaredBytes'>;
  };
  readonly headMark: string;
}

/** The head of a request that may be lost or may be a replay. */
export interface Head {
  /**
   * Equal for two requests whose heads are equal byte for byte. It is computed only after something was lost: to hash
   * every head costs more than all other work here.
   */
  headMark(): string;
}

/** In milliseconds. A new connection takes up to three round trips; an application rarely retries sooner. */
export const REPLAY_WINDOW_MS = 500;

/** The end of a connection may be noticed this many milliseconds after the request that follows it. */
const NOTICE_LAG_MS = 50;

/** @param recent exchanges of the same namespace, newest first */
export function isTransportReplay(
  candidate: Sighting,
  recent: Iterable<Sighting>,
  windowMs = REPLAY_WINDOW_MS,
): boolean {
  return lostOriginal(candidate, recent, windowMs) !== null;
}

/**
 * The exchange that this request probably repeats; null: none. The bytes of an arrival are not known yet; instead its head,
 * including the boundary, must be the same.
 * @param recent exchanges of the same namespace, newest first
 */
export function lostOriginal<S extends Sighting>(
  candidate: Sighting | Arrival,
  recent: Iterable<S>,
  windowMs = REPLAY_WINDOW_MS,
): S | null {
  if (!canBeReplay(candidate.exchange)) return null;
  for (const earlier of recent) {
    if (isLost(earlier.exchange) && isSameRequest(candidate, earlier)) {
      return isAtOnce(candidate.beganMs - earlier.endedMs, windowMs) ? earlier : null;
    }
    if (showsKnowledge(earlier.exchange, candidate.exchange)) return null;
  }
  return null;
}

function isAtOnce(gapMs: number, windowMs: number): boolean {
  return gapMs >= -NOTICE_LAG_MS && gapMs <= windowMs;
}

export function canBeReplay({ method, connection }: Arrival['exchange']): boolean {
  return method === 'POST' && connection.exchange === 1;
}

const ENDINGS_WITHOUT_ANSWER: readonly Exchange['outcome'][] = [
  'client-aborted',
  'fault-closed',
  'fault-reset',
  'fault-crash',
];

/** Whether a transport may send it again. A namespace without such an exchange needs no search for replays. */
export function isLost({ connection, response, outcome }: ExchangeDraft): boolean {
  if (!connection.reused) return false;
  return response === null || (response.bytes === 0 && ENDINGS_WITHOUT_ANSWER.includes(outcome));
}

function showsKnowledge(earlier: ExchangeDraft, candidate: Arrival['exchange']): boolean {
  const fileId = earlier.upload?.fileId ?? null;
  if (fileId === null || fileId !== candidate.upload?.fileId) return false;
  return (
    earlier.operation !== candidate.operation || earlier.upload?.chunkIndex === candidate.upload.chunkIndex
  );
}

function isSameRequest(candidate: Sighting | Arrival, original: Sighting): boolean {
  const { exchange: sent } = candidate;
  const { exchange: lost } = original;
  return (
    lost.connection.id !== sent.connection.id &&
    lost.method === sent.method &&
    lost.operation === sent.operation &&
    lost.path === sent.path &&
    isSameHead(candidate, original) !== false &&
    isSameUpload(lost, sent) &&
    ('parts' in sent.body
      ? isSameBody(lost.body, sent.body)
      : isSameHead(candidate, original) === true && lost.body.declaredBytes === sent.body.declaredBytes) &&
    hasEvidence(candidate, original)
  );
}

/** Null: one of the two heads is not known. */
function isSameHead(candidate: Sighting | Arrival, original: Sighting): boolean | null {
  if (candidate.headMark === undefined || original.headMark === undefined) return null;
  return candidate.headMark === original.headMark;
}

/** What the lost request had not yet said contradicts nothing. */
function isSameUpload(lost: ExchangeDraft, sent: Arrival['exchange']): boolean {
  const { fileId = null, chunkIndex = null } = lost.upload ?? {};
  const isSameFile = fileId === null || fileId === sent.upload?.fileId;
  return isSameFile && (chunkIndex === null || chunkIndex === sent.upload?.chunkIndex);
}

function isSameBody(lost: Body, sent: Body): boolean {
  if (lost.declaredBytes !== sent.declaredBytes) return false;
  const wholeParts = wholePartsOf(lost);
  if (!wholeParts.every((part, index) => isSamePart(part, sent.parts[index]))) return false;
  if (!isCut(lost))
    return lost.receivedBytes === sent.receivedBytes && lost.parts.length === sent.parts.length;
  const cutPart = lost.parts[wholeParts.length];
  return cutPart === undefined || isBeginning(cutPart, sent.parts[wholeParts.length]);
}

/** With chunked coding the length is not known: the body is then taken as whole, so all parts must be equal. */
function isCut({ declaredBytes, receivedBytes }: Body): boolean {
  return declaredBytes !== null && receivedBytes < declaredBytes;
}

function wholePartsOf(body: Body): readonly Part[] {
  return isCut(body) ? body.parts.slice(0, -1) : body.parts;
}

function isSamePart(lost: Part, sent: Part | undefined): boolean {
  return isBeginning(lost, sent) && lost.bytes === sent?.bytes && lost.crc32 === sent.crc32;
}

function isBeginning(lost: Part, sent: Part | undefined): boolean {
  return (
    sent !== undefined &&
    lost.name === sent.name &&
    lost.filename === sent.filename &&
    lost.bytes <= sent.bytes
  );
}

/** Two requests of which only the length is known do not count as the same. */
function hasEvidence(candidate: Sighting | Arrival, original: Sighting): boolean {
  const { upload, body } = original.exchange;
  const isNamed = upload !== null && upload.fileId !== null;
  return isNamed || wholePartsOf(body).length > 0 || isSameHead(candidate, original) === true;
}
