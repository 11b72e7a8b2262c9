// journal/transport-replay.ts: whether a POST was sent again by the client's transport, on its own, unknown to the client.
//
// curl, browsers and their like do so when a connection that had served exchanges before dies without one byte of an
// answer (RFC 9110 §9.2.2, RFC 9112 §9.3.1). An application that retries looks almost the same, but it waits, asks for
// the status first, or makes a new form. A suspicion it stays: an application may retry at once and byte for byte.
//
// A POST is suspected if and only if it is the first exchange of its connection, and of another connection of the
// namespace there is a *lost original*, that is an exchange which
//   1. was not the first of its connection, and got no byte of an answer;
//   2. asks for the same: method, operation, path, upload, chunk, declared length, and the same head where both are known;
//   3. has the same bytes: length and CRC-32 of every part; where it was cut, of every part that had come whole;
//   4. ended no more than the window before the POST began, and
//   5. is the last word on the matter: since then nothing came that shows that the client knew of the loss, such as a
//      status query of that upload or that chunk once more. Other chunks of it, sent in parallel, show nothing.
// Must not know: where exchanges are kept.
import type { Body, Exchange, ExchangeDraft, Part } from './exchange.ts';

/** An exchange with the machine's time: the namespace's clock may stand still. */
export interface Sighting {
  readonly exchange: ExchangeDraft;
  /** Milliseconds of a clock that never jumps. */
  readonly beganMs: number;
  readonly endedMs: number;
  /** Equal when the heads of two requests are the same byte for byte, boundary included; absent: not known. */
  readonly headMark?: string | undefined;
}

/** A request whose body is still to come. */
export interface Arrival extends Pick<Sighting, 'beganMs'> {
  readonly exchange: Pick<ExchangeDraft, 'connection' | 'method' | 'operation' | 'path' | 'upload'> & {
    readonly body: Pick<Body, 'declaredBytes'>;
  };
  readonly headMark: string;
}

/** Of a request that may come to be lost, or to be a replay. */
export interface Head {
  /**
   * Equal for two requests whose heads are the same byte for byte. Asked for only where
   * something was lost: hashing every head costs more than all else here.
   */
  headMark(): string;
}

/** A new connection takes up to three round trips; an application rarely retries sooner. */
export const REPLAY_WINDOW_MS = 500;

/** By so much the end of a connection may be noticed later than the request that follows it. */
const NOTICE_LAG_MS = 50;

/** @param recent of the same namespace, the newest first */
export function isTransportReplay(
  candidate: Sighting,
  recent: Iterable<Sighting>,
  windowMs = REPLAY_WINDOW_MS,
): boolean {
  return lostOriginal(candidate, recent, windowMs) !== null;
}

/**
 * What it is suspected to be sent again of; null: nothing. Of an arrival the bytes are not known: in their place its head,
 * boundary included, has to be the same.
 * @param recent of the same namespace, the newest first
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

/** Whether a transport may send it again. Of a namespace without such an exchange nobody needs to ask for replays. */
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

/** Null: not known of both. */
function isSameHead(candidate: Sighting | Arrival, original: Sighting): boolean | null {
  if (candidate.headMark === undefined || original.headMark === undefined) return null;
  return candidate.headMark === original.headMark;
}

/** What the lost one did not get to say contradicts nothing. */
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

/** With chunked coding nobody knows: the body is taken to be whole, so that the parts have to be equal. */
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

/** Two requests of which nothing but the length is known are not the same for that. */
function hasEvidence(candidate: Sighting | Arrival, original: Sighting): boolean {
  const { upload, body } = original.exchange;
  const isNamed = upload !== null && upload.fileId !== null;
  return isNamed || wholePartsOf(body).length > 0 || isSameHead(candidate, original) === true;
}
