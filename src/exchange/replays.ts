// exchange/replays.ts: the rule that hits a transport's replay again: the one with `ignoreReplays` that hit what it is sent again of.
//
// Promises: nothing is looked up while no rule could hit anything again.
// Must not know: what makes a request a replay (journal/transport-replay.ts), what a rule counts.
import type { Claim } from '../faults/rule-armed.ts';
import type { RuleBook } from '../faults/rule-book.ts';
import type { Subject } from '../contract/operations.ts';
import type { ExchangeInFlight } from '../journal/in-flight.ts';
import type { Journal } from '../journal/journal.ts';
import { monotonicMs } from '../core/machine-time.ts';

interface Known {
  readonly rules: RuleBook;
  /** Null: nobody knows what was lost, so that every request is counted. */
  readonly journal: Journal | null;
}

interface Asking {
  readonly namespace: string;
  readonly operation: string;
  readonly subject: Subject;
  readonly headMark: () => string;
}

/**
 * Null: the request is to be counted, and to ask for its rule, as any other.
 * @param soFar as far as the request is on record; null: it is over
 */
export function claimAgain(
  { rules, journal }: Known,
  { namespace, operation, subject, headMark }: Asking,
  soFar: () => ExchangeInFlight | null,
): Claim | null {
  if (journal === null || !rules.canRepeat(namespace, operation)) return null;
  const request = soFar();
  if (request === null) return null;
  const { fileId, chunkIndex = null } = subject;
  const upload = fileId === undefined ? null : { fileId, chunkIndex, attempt: null };
  const beganMs = monotonicMs() - request.elapsedMs;
  const arrival = { exchange: { ...request, upload }, beganMs, headMark: headMark() };
  const fault = journal.replayedBy(namespace, arrival)?.fault ?? null;
  return fault && rules.claimAgain(namespace, fault.ruleId);
}
