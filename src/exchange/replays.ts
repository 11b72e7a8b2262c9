// exchange/replays.ts: the rule that hits a transport's replay again: the one with `ignoreReplays` that hit what it is sent again of.
//
// Promises: nothing is looked up while no rule could hit anything again.
// Must not know: what makes a request a replay (journal/transport-replay.ts), what a rule counts.
import type { Claim } from '../faults/rule-armed.ts';
import type { RuleBook } from '../faults/rule-book.ts';
import type { Subject } from '../contract/operations.ts';
import type { ExchangeRecording } from './exchange-recording.ts';

interface Asking {
  readonly namespace: string;
  readonly operation: string;
  readonly subject: Subject;
}

/**
 * Null: the request is to be counted, and to ask for its rule, as any other.
 * @param recording null: nobody knows what was lost, so that every request is counted
 */
export function claimAgain(
  rules: RuleBook,
  { namespace, operation, subject }: Asking,
  recording: ExchangeRecording | null,
): Claim | null {
  if (recording === null || !rules.canRepeat(namespace, operation)) return null;
  const fault = recording.original(subject)?.fault ?? null;
  return fault && rules.claimAgain(namespace, fault.ruleId);
}
