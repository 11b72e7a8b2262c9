// journal/acknowledged.ts: chunks that were sent although the client had been told that they are stored.
//
// Promises: a pure look at the exchanges. A chunk that the server stored anew is not among them: it had lost the first
// one (forgotten, expired, deleted), so that the client was right to send it.
// Must not know: what is made of it.
import type { Exchange } from './exchange.ts';

/** Faults whose 2xx the client cannot read. */
const BROKEN_ANSWERS = ['truncate', 'empty', 'garbage'];

/** @param exchanges in order of `seq`: what counts as "before" is the order of the answers */
export function acknowledgedResent(exchanges: readonly Exchange[]): Exchange[] {
  const acknowledged = new Map<string, Set<number>>();
  const resent: Exchange[] = [];
  for (const exchange of exchanges) {
    const upload = uploadOf(exchange);
    if (exchange.fault?.effect === 'forget') {
      acknowledged.delete(upload);
      continue;
    }
    const chunkIndex = chunkOf(exchange);
    if (chunkIndex === null) continue;
    const chunks = acknowledged.get(upload) ?? new Set();
    if (chunks.has(chunkIndex) && exchange.committed === null) resent.push(exchange);
    if (isAcknowledgement(exchange)) acknowledged.set(upload, chunks.add(chunkIndex));
  }
  return resent;
}

function uploadOf({ namespace, upload }: Exchange): string {
  return `${namespace} ${upload?.fileId ?? ''}`;
}

/** Null: it sent no chunk, or it ended before saying which. */
function chunkOf({ operation, upload }: Exchange): number | null {
  return operation === 'uploadChunk' && upload !== null && upload.fileId !== null ? upload.chunkIndex : null;
}

function isAcknowledgement({ outcome, response, fault }: Exchange): boolean {
  if (outcome !== 'answered' || response === null || isBroken(fault)) return false;
  return response.status >= 200 && response.status < 300;
}

function isBroken(fault: Exchange['fault']): boolean {
  return fault !== null && BROKEN_ANSWERS.includes(fault.effect);
}
