// exchange/replays.ts: lets a rule with `ignoreReplays` hit a transport's replay of a request that it hit before.
//
// Promises: nothing is looked up unless some rule could hit a replay.
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
 * Null: the request is counted and asks for its rule like any other.
 * @param recording null: lost exchanges are not known, so every request is counted
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
