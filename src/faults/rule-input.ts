// faults/rule-input.ts: a rule as a program writes it, for an editor to complete and a compiler to check. What it means and
// what else is refused stands in rules.ts and fault.ts.
//
// Must not know: anything but types.
import type { Operation } from '../contract/operations.ts';
import type { Effect, EFFECTS, PhaseName } from './effects.ts';
import type { z } from 'zod';

type Alias =
  | 'CONNECTION_RESET_BY_PEER'
  | 'EMPTY_RESPONSE'
  | 'MALFORMED_RESPONSE_CHUNK'
  | 'RANDOM_DATA_THEN_CLOSE';

/** `reset@body:256KiB`, `delay:250ms,jitterMs=50`, `close`: effect, phase, arguments. */
type FaultText =
  | `${Effect}@${PhaseName}`
  | `${Effect}@${PhaseName}:${string}`
  | `${Effect}:${string}`
  | Effect
  | Alias
  // Whatever is not a literal is checked when it is armed.
  | (string & {});

/** The same as an object, with the parameters of its effect. */
type FaultObject = {
  [E in Effect]: {
    readonly effect: E;
    readonly phase?: PhaseName | `${PhaseName}:${string}`;
    /** Of the `file` part, or of the answer's body. */
    readonly atByte?: number | string;
  } & Partial<Readonly<z.input<(typeof EFFECTS)[E]['params']>>>;
}[Effect];

/** `3`, `"1-3"`, `"4-"`, `{ from: 1, to: 3 }`, `[1, 3, 5]` */
type Counts = number | string | { readonly from?: number; readonly to?: number } | readonly number[];

export interface RuleInput {
  /** Is made up, if left out. */
  readonly id?: string;
  readonly match?: {
    readonly operation?: Operation | null;
    /** `*` in it stands for any text. */
    readonly fileId?: string | null;
    readonly chunkIndex?: number | 'first' | 'last' | { readonly from?: number; readonly to?: number } | null;
    readonly mediaType?: 'video' | 'image' | null;
  };
  readonly when?: {
    /** Of this chunk, status query or finalise, counted from 1. */
    readonly attempt?: Counts | null;
    /** Of the exchanges that the rule matched, counted from 1. */
    readonly nth?: Counts | null;
    /** So many matches pass first. */
    readonly skip?: number;
    readonly probability?: number;
  };
  readonly fault: FaultText | FaultObject;
  /** 1, if left out. */
  readonly times?: number | 'always';
  /** What a transport sends again of a request that it hit is hit again, and not counted: `times` are those that a page sees. */
  readonly ignoreReplays?: boolean;
  /** Milliseconds, or `"10m"`, since it was armed. A server that others reach needs it. */
  readonly ttlMs?: number | string | null;
}
