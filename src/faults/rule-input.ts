// faults/rule-input.ts: the type of a rule as a program writes it, for editors and compilers. rules.ts and fault.ts define
// what a rule means and what else is refused.
import type { Operation } from '../contract/operations.ts';
import type { Effect, EFFECTS, PhaseName } from './effects.ts';
import type { z } from 'zod';

type Alias =
  | 'CONNECTION_RESET_BY_PEER'
  | 'EMPTY_RESPONSE'
  | 'MALFORMED_RESPONSE_CHUNK'
  | 'RANDOM_DATA_THEN_CLOSE';

/** Effect, phase, arguments: `reset@body:256KiB`, `delay:250ms,jitterMs=50`, `close`. */
type FaultText =
  | `${Effect}@${PhaseName}`
  | `${Effect}@${PhaseName}:${string}`
  | `${Effect}:${string}`
  | Effect
  | Alias
  // A text that is not a literal is checked when the rule is armed.
  | (string & {});

/** The same as an object, with the effect's parameters. */
type FaultObject = {
  [E in Effect]: {
    readonly effect: E;
    readonly phase?: PhaseName | `${PhaseName}:${string}`;
    /** In the `file` part or in the answer's body. */
    readonly atByte?: number | string;
  } & Partial<Readonly<z.input<(typeof EFFECTS)[E]['params']>>>;
}[Effect];

/** `3`, `"1-3"`, `"4-"`, `{ from: 1, to: 3 }`, `[1, 3, 5]` */
type Counts = number | string | { readonly from?: number; readonly to?: number } | readonly number[];

export interface RuleInput {
  /** Generated if absent. */
  readonly id?: string;
  readonly match?: {
    readonly operation?: Operation | null;
    /** `*` stands for any text. */
    readonly fileId?: string | null;
    readonly chunkIndex?: number | 'first' | 'last' | { readonly from?: number; readonly to?: number } | null;
    readonly mediaType?: 'video' | 'image' | null;
  };
  readonly when?: {
    /** The number of the attempt for this chunk, status query or finalise, from 1. */
    readonly attempt?: Counts | null;
    /** The number among the exchanges that the rule matched, from 1. */
    readonly nth?: Counts | null;
    /** How many matches pass before the rule acts. */
    readonly skip?: number;
    readonly probability?: number;
  };
  readonly fault: FaultText | FaultObject;
  /** Default: 1. */
  readonly times?: number | 'always';
  /** A transport's replay of a request that the rule hit is hit again, but not counted in `times`. */
  readonly ignoreReplays?: boolean;
  /** Time since arming, in milliseconds or as a text such as `"10m"`. Required if other machines can reach the server. */
  readonly ttlMs?: number | string | null;
}
