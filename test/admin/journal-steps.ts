// journal-steps.ts: what the journal answers.
import type { Exchange } from '../../src/journal/exchange.ts';

export interface Found {
  readonly requests: readonly Exchange[];
  readonly meta: { readonly total: number; readonly evicted: number };
}

export interface Refused {
  readonly error: string;
  readonly details: { readonly problems: readonly object[] };
}
