// faults/rule-armed.ts: one armed rule, its counters, and claims on it.
//
// Promises: a claim ends once, as `fired` or `released`. A transport's replay is hit at most once for each time that the rule
// fired, and changes no visible counter.
import type { Fault } from './effects.ts';
import { isWithin } from './rule-fits.ts';
import type { Rule } from './rules.ts';

/** An exchange's claim on one of the rule's times. It must end with `fired` or `release`. */
export interface Claim {
  readonly rule: Rule;
  readonly fault: Fault;
  /** The fault's place was reached. May be called again when the exchange's number is known. */
  fired(seq?: number): void;
  /** The exchange ended before the fault's place. Does nothing after `fired`. */
  release(): void;
}

export interface Armed {
  readonly rule: Rule;
  readonly expiresAt: number;
  matched: number;
  fired: number;
  reserved: number;
  released: number;
  /** Transport replays that were hit again. The other counters do not include them. */
  repeated: number;
  masked: number;
  maskedBy: string | null;
  lastFiredSeq: number | null;
  /** Called when the rule fires or is removed. */
  readonly watchers: Set<() => void>;
}

export function arm(rule: Rule, now: number): Armed {
  const expiresAt = rule.ttlMs === null ? Number.POSITIVE_INFINITY : now + rule.ttlMs;
  const counts = { matched: 0, fired: 0, reserved: 0, released: 0, repeated: 0, masked: 0 };
  return { rule, expiresAt, ...counts, maskedBy: null, lastFiredSeq: null, watchers: new Set() };
}

/** A watcher may end its watch during the call. */
export function tellWatchers({ watchers }: Armed): void {
  for (const watcher of watchers) watcher();
}

export function isExhausted({ rule, fired, expiresAt }: Armed, now: number): boolean {
  return fired >= rule.times || now >= expiresAt;
}

export function isLive(armed: Armed, operation: string, now: number): boolean {
  return armed.rule.operations.some((name) => name === operation) && !isExhausted(armed, now);
}

/** The draw comes last, so that exchanges that cannot fire do not advance the random sequence. */
export function isDue(
  { rule: { when, times }, matched, fired, reserved }: Armed,
  draw: () => number,
): boolean {
  if (matched <= when.skip || !isWithin(when.nth, matched)) return false;
  return fired + reserved < times && (when.probability === 1 || draw() < when.probability);
}

export function take(armed: Armed, onChange: () => void): Claim {
  let state: 'reserved' | 'fired' | 'released' = 'reserved';
  armed.reserved += 1;
  const end = (next: 'fired' | 'released'): void => {
    if (state !== 'reserved') return;
    state = next;
    armed.reserved -= 1;
    if (next === 'released') armed.released += 1;
    if (next !== 'fired') return;
    armed.fired += 1;
    onChange();
    tellWatchers(armed);
  };
  return {
    rule: armed.rule,
    fault: armed.rule.fault,
    fired: (seq) => {
      end('fired');
      if (state !== 'fired' || seq === undefined) return;
      armed.lastFiredSeq = seq;
      onChange();
    },
    release: () => end('released'),
  };
}

/** Whether a replay of a request that the rule hit would be hit again, although the rule's times are used up. */
export function canRepeat({ rule, fired, repeated, expiresAt }: Armed, now: number): boolean {
  return rule.ignoreReplays && repeated < fired && now < expiresAt;
}

/** Takes none of the rule's times. A replay that ends before the fault's place was not hit, but counts as hit again. */
export function takeAgain(armed: Armed): Claim {
  armed.repeated += 1;
  return {
    rule: armed.rule,
    fault: armed.rule.fault,
    fired: () => undefined,
    release: () => undefined,
  };
}
