// control/rule-hints.ts: explains why a rule has not fired, or has not fired the expected number of times (behaviour §11).
//
// Promises: pure. Each sentence is based on counts of the rule or on recorded exchanges, and names them.
// Must not know: HTTP, where rules and exchanges are kept.
import { showMs, showSpans } from '../faults/explain.ts';
import { fitsGlob, isWithin } from '../faults/rule-fits.ts';
import type { RuleTrace } from '../faults/rule-set.ts';
import type { Rule } from '../faults/rules.ts';
import { whyNone, type Condition, type OnRecord } from '../journal/absence.ts';
import type { Exchange } from '../journal/exchange.ts';
import { OPERATION_NAMES } from '../contract/operations.ts';

/** At most this many exchanges are described, the latest first. */
const MAX_TOLD = 3;

/** The rule's conditions that can be checked on a recorded exchange. A record does not say which chunk is the last. */
export function conditionsOfRule({ match, when, operations }: Rule): Condition[] {
  const { fileId, chunkIndex } = match;
  const { attempt } = when;
  const isAny = operations.length === OPERATION_NAMES.length;
  const conditions: (Condition | null)[] = [
    {
      field: 'operation',
      wanted: isAny ? 'of the API' : operations.join(' or '),
      fits: ({ operation }) => operations.some((name) => name === operation),
    },
    fileId === null
      ? null
      : {
          field: 'fileId',
          wanted: JSON.stringify(fileId),
          fits: ({ upload }) => typeof upload?.fileId === 'string' && fitsGlob(fileId, upload.fileId),
        },
    chunkIndex === null
      ? null
      : {
          field: 'chunkIndex',
          wanted: chunkIndex === 'last' ? 'that is the last one' : showSpans([chunkIndex]),
          fits: ({ upload }) => {
            const index = upload?.chunkIndex ?? undefined;
            return index !== undefined && (chunkIndex === 'last' || isWithin([chunkIndex], index));
          },
        },
    attempt === null
      ? null
      : {
          field: 'attempt',
          wanted: showSpans(attempt),
          fits: ({ upload }) => isWithin(attempt, upload?.attempt ?? undefined),
        },
  ];
  return conditions.filter((condition) => condition !== null);
}

/** Empty: the rule only waits for further requests. */
export function whyNotFired(trace: RuleTrace, onRecord: OnRecord): string[] {
  const conditions = conditionsOfRule(trace.rule);
  const fitting = onRecord.exchanges.filter((exchange) => conditions.every(({ fits }) => fits(exchange)));
  const told = [endOf(trace), heldBy(trace), passedOver(trace), maskOf(trace)];
  const hints = [...told.filter((hint) => hint !== null), ...unreached(trace, fitting)];
  if (trace.matched > 0 || trace.masked > 0) return hints;
  return [...hints, whyNone(conditions, onRecord) ?? metBefore(fitting, trace)];
}

function endOf({ rule: { id, times, ttlMs }, fired, isExpired }: RuleTrace): string | null {
  if (fired >= times)
    return `rule ${id} has fired ${timesOf(fired)}, which is all it may (times: ${times}): it cannot fire again`;
  return isExpired && ttlMs !== null
    ? `rule ${id} has expired: its ttlMs of ${showMs(ttlMs)} is over since it was armed, and it cannot fire any more`
    : null;
}

function heldBy({ rule, reserved }: RuleTrace): string | null {
  if (reserved === 0) return null;
  return `${exchangesOf(reserved)} that it has ${reserved === 1 ? 'is' : 'are'} in flight and did not come to ${placeOf(rule)} yet`;
}

/** Requests that matched but were passed over by `skip`, `nth` or the draw. */
function passedOver({ rule: { when, times }, matched, fired, reserved, released }: RuleTrace): string | null {
  const passed = matched - fired - reserved - released;
  if (passed <= 0) return null;
  const { skip, nth, probability } = when;
  const came = `it matched ${exchangesOf(matched)}`;
  if (matched <= skip) return `${came}, and lets the first ${skip} pass (when.skip)`;
  if (nth !== null) return `${came}, and fires only at match ${showSpans(nth)} (when.nth)`;
  if (probability < 1)
    return `${came}, and ${passed} of them were not drawn (when.probability ${probability})`;
  return `${came}; ${passed} of them passed by while others had all of its times (times: ${times}) or by when.skip`;
}

function maskOf({ masked, maskedBy }: RuleTrace): string | null {
  if (masked === 0) return null;
  return `an earlier rule took ${exchangesOf(masked)} that it fits, the last time ${maskedBy}: the first rule that fits an exchange is its only one`;
}

/** Requests that the rule had chosen but that ended before the point of the fault. */
function unreached({ rule, released }: RuleTrace, fitting: readonly Exchange[]): string[] {
  if (released === 0) return [];
  const candidates = fitting.filter(({ fault }) => fault === null);
  const told = candidates.slice(-MAX_TOLD).map((exchange) => shortOf(exchange, rule));
  if (told.length > 0) return told;
  return [`${exchangesOf(released)} that it had ended before ${placeOf(rule)} was reached`];
}

function shortOf({ seq, upload, body, response, outcome }: Exchange, rule: Rule): string {
  const { name, atByte } = rule.fault.phase;
  const index = upload?.chunkIndex ?? null;
  const what = index === null ? `#${seq}` : `chunk ${index} (#${seq})`;
  const never = `${placeOf(rule)} was never reached`;
  if (name === 'body' && atByte !== undefined && body.fileBytes < atByte)
    return `${what} came with ${body.fileBytes.toLocaleString('en-US')} bytes${outcome === 'client-aborted' ? ' before its client left' : ''}; ${never}`;
  const answer =
    response === null ? '' : `, answered ${response.status} ${response.errorCode ?? ''}`.trimEnd();
  return `${what} ended before (${outcome}${answer}); ${never}`;
}

function metBefore(fitting: readonly Exchange[], { rule }: RuleTrace): string {
  const seqs = fitting.slice(-MAX_TOLD).map(({ seq }) => `#${seq}`);
  return `${exchangesOf(fitting.length)} on record would fit (${seqs.join(', ')}), and never met rule ${rule.id}: they came before it was armed or after it ended, or were refused before rules are asked`;
}

function placeOf({ fault: { phase } }: Rule): string {
  return phase.atByte === undefined ? phase.name : `${phase.name}:${phase.atByte}`;
}

function exchangesOf(count: number): string {
  return count === 1 ? '1 exchange' : `${count} exchanges`;
}

function timesOf(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}
