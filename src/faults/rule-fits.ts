// faults/rule-fits.ts: whether a rule is about an exchange: `match` and `when.attempt` (behaviour §10).
//
// Promises: changes nothing. An unknown fact about the exchange fits no condition on that fact.
import type { Rule, Span } from './rules.ts';

/** What is known of an exchange when it asks for its rule. */
export interface ExchangeFacts {
  readonly operation: string;
  readonly fileId?: string | undefined;
  readonly chunkIndex?: number | undefined;
  readonly totalChunks?: number | undefined;
  /** The number of the attempt for the same operation, upload and chunk, from 1. */
  readonly attempt?: number | undefined;
  readonly mediaType?: 'video' | 'image' | undefined;
}

export function fitsRule({ match, when }: Rule, facts: ExchangeFacts): boolean {
  return (
    (match.fileId === null || (facts.fileId !== undefined && fitsGlob(match.fileId, facts.fileId))) &&
    (match.chunkIndex === null || fitsChunk(match.chunkIndex, facts)) &&
    (match.mediaType === null || match.mediaType === facts.mediaType) &&
    isWithin(when.attempt, facts.attempt)
  );
}

function fitsChunk(wanted: Span | 'last', { chunkIndex, totalChunks }: ExchangeFacts): boolean {
  if (wanted !== 'last') return isWithin([wanted], chunkIndex);
  return chunkIndex !== undefined && totalChunks !== undefined && chunkIndex === totalChunks - 1;
}

export function isWithin(spans: readonly Span[] | null, count: number | undefined): boolean {
  if (spans === null) return true;
  return count !== undefined && spans.some(({ from, to }) => from <= count && count <= to);
}

/** Compares piece by piece: a regular expression would be slow with many stars. */
export function fitsGlob(pattern: string, text: string): boolean {
  const [head = '', ...pieces] = pattern.split('*');
  const tail = pieces.pop();
  if (tail === undefined) return text === pattern;
  const end = text.length - tail.length;
  if (end < head.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
  let from = head.length;
  return pieces.every((piece) => {
    const at = text.indexOf(piece, from);
    from = at + piece.length;
    return at !== -1 && from <= end;
  });
}
