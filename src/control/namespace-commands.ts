// control/namespace-commands.ts: the commands on a namespace: rules, clock, state and reset. The admin routes and the in-process
// API share them.
//
// Promises: every command is for one namespace. A change of the clock resolves after everything that it made due is done.
// Must not know: HTTP.
import { ALL_NAMESPACES, PUBLIC_NAMESPACE } from '../core/namespace.ts';
import type { ClockChange, Clocks, ClockView } from '../core/clock.ts';
import { invalidFields } from '../core/errors.ts';
import type { FaultActions } from '../faults/injection.ts';
import { type RuleBook } from '../faults/rule-book.ts';
import type { RuleView } from '../faults/rule-set.ts';
import { parseRules } from '../faults/rules.ts';
import type { Subject } from '../contract/operations.ts';
import { uploadStatusBody } from '../contract/bodies.ts';
import type { Journal } from '../journal/journal.ts';
import { matcherSchema, type JournalMatcher } from '../journal/matcher.ts';
import type { UnfiredRule } from '../journal/verify.ts';
import type { Media } from '../media/media.ts';
import { isPlatform } from '../media/platforms.ts';
import type { Expiries } from '../uploads/expiries.ts';
import type { Uploads } from '../uploads/uploads.ts';
import type { LiveExchanges } from '../exchange/live-exchanges.ts';
import { notAllReset } from './clearing.ts';
import type { Hints } from './hints.ts';
import { noRule, RuleWaits, type RuleWait, type RuleWaited } from './rule-waits.ts';
import type { NamespaceStates } from './state.ts';

/** In the order in which a reset does them. */
export const RESET_SCOPES = ['rules', 'uploads', 'media', 'journal', 'clock'] as const;
export type ResetScope = (typeof RESET_SCOPES)[number];
/** A reset of one of these scopes drops pending late commits, which must not arrive in the new state. */
const DROPPING_SCOPES: readonly ResetScope[] = ['uploads', 'media', 'clock'];

/** What a change of the clock caused. */
export interface Settled {
  readonly uploadsExpired: number;
  /** The number of entries whose status changed. */
  readonly entriesChanged: number;
  /** The number of late commits that stored something. */
  readonly lateCommits: number;
}

/** The last instant whose ISO 8601 form has four digits for the year. */
const END_OF_TIME = Date.parse('9999-12-31T23:59:59.999Z');

export interface ControlsOptions {
  readonly rules: RuleBook;
  readonly journal: Journal | null;
  readonly clocks: Clocks;
  readonly uploads: Uploads;
  readonly expiries: Expiries;
  readonly media: Media;
  readonly states: NamespaceStates;
  readonly newRuleId: (namespace: string) => string;
  /** Whether each rule needs an end of its own, because other machines can reach the server. */
  readonly isTtlNeeded: boolean;
  readonly live: LiveExchanges;
  /** Why a rule must not kill the process; null: a rule may. */
  readonly crashRefusal: string | null;
  /** Kills the process after the journal has been written. */
  readonly crash: () => never;
  readonly hints: Hints;
  readonly onReset: (namespace: string) => void;
}

export class NamespaceCommands {
  readonly #options: ControlsOptions;
  readonly #waits: RuleWaits;

  constructor(options: ControlsOptions) {
    this.#options = options;
    this.#waits = new RuleWaits(options.rules, options.hints);
  }

  get states(): NamespaceStates {
    return this.#options.states;
  }

  rules(namespace: string): RuleView[] {
    return this.#options.rules.list(namespace);
  }

  /** @throws AppError `rule_not_found` */
  rule(namespace: string, id: string): RuleView {
    const view = this.#options.rules.get(namespace, id);
    if (view !== null) return view;
    throw noRule(id, this.#options.rules.wasArmed(namespace, id));
  }

  /** @param json a rule, or an array of them. @throws AppError `invalid_rule` */
  addRules(namespace: string, json: unknown): RuleView[] {
    const rules = this.#parse(namespace, json);
    this.#options.rules.add(namespace, rules);
    return rules.map(({ id }) => this.rule(namespace, id));
  }

  /** @throws AppError `invalid_rule`; the rules then stay as they were */
  replaceRules(namespace: string, json: unknown): RuleView[] {
    this.#options.rules.replace(namespace, this.#parse(namespace, json));
    return this.rules(namespace);
  }

  clearRules(namespace: string): void {
    this.#options.rules.rulesOf(namespace).clear();
  }

  /** @throws AppError `rule_not_found` */
  removeRule(namespace: string, id: string): void {
    if (!this.#options.rules.rulesOf(namespace).remove(id))
      throw noRule(id, this.#options.rules.wasArmed(namespace, id));
  }

  /**
   * Resolves when the rule has fired the given number of times, or with the reason why it has not. @throws AppError
   * `rule_not_found`, also when the rule is removed during the wait
   */
  waitForRule(namespace: string, id: string, wait: RuleWait): Promise<RuleWaited> {
    const find = (): RuleView => this.rule(namespace, id);
    return this.#waits.wait({ namespace, id, find }, wait);
  }

  /** Ends every wait, so that no wait keeps the server from closing. */
  close(): void {
    this.#waits.close();
  }

  /**
   * The rules that have not fired. For one namespace, this includes a rule for all namespaces only if it has fired for none: a
   * rule with `times` may have fired for another namespace and can then never fire for this one. For `*`, the rules of every
   * namespace.
   */
  unfiredRules(namespace: string): UnfiredRule[] {
    const isOfAll = namespace === ALL_NAMESPACES;
    const namespaces = isOfAll ? this.#options.rules.namespaces : [namespace, ALL_NAMESPACES];
    return namespaces.flatMap((name) => {
      const whose = isOfAll && name !== ALL_NAMESPACES ? { namespace: name } : {};
      const unfired = this.rules(name).filter(({ fired }) => fired === 0);
      return unfired.map((rule) => ({
        ruleId: rule.id,
        ...whose,
        explain: rule.explain,
        match: matcherOf(rule),
      }));
    });
  }

  /** Whether the rule is or was armed. Otherwise nothing on record can refer to it. */
  wasArmed(namespace: string, id: string): boolean {
    const { rules, journal } = this.#options;
    return rules.wasArmed(namespace, id) || (journal?.count(namespace, { ruleId: id }) ?? 0) > 0;
  }

  clock(namespace: string): ClockView {
    return this.#options.clocks.view(namespace);
  }

  /** @throws AppError `invalid_request` */
  async changeClock(namespace: string, change: ClockChange): Promise<Settled> {
    const { clocks, uploads, expiries } = this.#options;
    refuseImpossible(change, clocks.now(namespace));
    const before = await this.#statuses(namespace);
    // Uploads expire before a late commit of the same moment runs, so that the late commit finds neither the upload nor its
    // bytes.
    const moved = expiries.during(namespace, () =>
      clocks.change(namespace, change, () => uploads.expire(namespace)),
    );
    const { result: lateCommits, expired: uploadsExpired } = await moved;
    const after = await this.#statuses(namespace);
    const entriesChanged = [...after].filter(([id, status]) => before.get(id) !== status).length;
    return { uploadsExpired, entriesChanged, lateCommits };
  }

  resetClock(namespace: string): Promise<void> {
    return this.#options.clocks.reset(namespace);
  }

  /**
   * Resets the given scopes of this namespace; the default is all scopes. Resolves to the number of removed items for each
   * scope.
   * @throws AppError when some items could not, or must not, be removed; everything else has then been removed
   */
  async reset(
    namespace: string,
    scopes: readonly ResetScope[] = RESET_SCOPES,
  ): Promise<Record<string, number>> {
    const { states, rules, journal, clocks, live, onReset } = this.#options;
    const failures: unknown[] = [];
    const resets: Readonly<Record<ResetScope, () => number | Promise<number>>> = {
      // Rules go first, so that no fault disturbs the rest of the reset.
      rules: () => {
        const { length } = this.rules(namespace);
        rules.reset(namespace);
        return length;
      },
      uploads: () => states.clearing.uploads(namespace, failures),
      media: () => states.clearing.media(namespace, failures),
      journal: () => {
        const count = journal?.count(namespace) ?? 0;
        journal?.clear(namespace);
        return count;
      },
      clock: async () => {
        await clocks.reset(namespace);
        return 1;
      },
    };
    // Exchanges in flight end first: none of them may reach the new state.
    await live.end(namespace, scopes);
    // Late commits are dropped before the uploads, because a late commit that runs during or after their removal would stay.
    if (DROPPING_SCOPES.some((scope) => scopes.includes(scope))) await clocks.drop(namespace);
    const done: Record<string, number> = {};
    for (const scope of RESET_SCOPES) if (scopes.includes(scope)) done[scope] = await resets[scope]();
    if (failures.length > 0) throw notAllReset(done, failures);
    if (scopes.length === RESET_SCOPES.length) onReset(namespace);
    return done;
  }

  /** The actions of faults on stored state. */
  actionsOf(namespace: string): FaultActions {
    const { uploads, media, clocks, crash } = this.#options;
    return {
      crash,
      forget: async ({ fileId, mediaType }) => {
        // Only a finalise may take an upload from the public namespace (rule K3).
        const fallback = mediaType === undefined ? null : PUBLIC_NAMESPACE;
        if (fileId !== undefined) await uploads.remove({ caller: { namespace, fallback }, fileId });
      },
      staleStatus: (subject) => this.#staleStatus(namespace, subject),
      failPublish: async (mediaId, { platform, reason }) => {
        if (!isPlatform(platform)) return;
        await media.failPublish(namespace, mediaId, { platform, ...(reason !== undefined && { reason }) });
      },
      later: (ms, change) => {
        const run = async (): Promise<boolean> => ((await change.run())?.committed ?? null) !== null;
        clocks.schedule(namespace, clocks.now(namespace) + ms, { run, drop: () => change.drop() });
      },
    };
  }

  #parse(namespace: string, json: unknown): ReturnType<typeof parseRules> {
    const { newRuleId, isTtlNeeded, crashRefusal, journal } = this.#options;
    const isJournalMissing = journal === null;
    return parseRules(json, () => newRuleId(namespace), { isTtlNeeded, crashRefusal, isJournalMissing });
  }

  async #staleStatus(namespace: string, { fileId = '' }: Subject): Promise<string> {
    const state = await this.#options.uploads.inspect({ caller: { namespace, fallback: null }, fileId });
    const last = state?.chunks.get(state.nextIndex - 1);
    const currentSize = (state?.currentSize ?? 0) - (last?.bytes ?? 0);
    const exists = state !== null && state.nextIndex > 1;
    return JSON.stringify(uploadStatusBody(fileId, { exists, currentSize: exists ? currentSize : 0 }));
  }

  async #statuses(namespace: string): Promise<Map<string, string>> {
    const statuses = new Map<string, string>();
    for await (const { entry } of this.#options.media.list(namespace)) {
      statuses.set(entry.id, this.#options.media.view(entry).status);
    }
    return statuses;
  }
}

/** Refuses a clock beyond the range of dates: every exchange with such a date would fail. */
function refuseImpossible({ now, advanceMs = 0 }: ClockChange, current: number): void {
  const isForward = advanceMs >= 0; // NaN fails this comparison too.
  const target = (now ?? current) + advanceMs;
  if (isForward && target >= 0 && target <= END_OF_TIME) return;
  const field = now === undefined ? 'advanceMs' : 'now';
  throw invalidFields([
    { field, message: 'the clock shows the years 1970 to 9999, and an advance only goes forward' },
  ]);
}

/** Turns a rule's conditions into a matcher, as far as a matcher can express them. It has no patterns, ranges or `last`. */
function matcherOf({ match, when }: RuleView): JournalMatcher {
  const { operation, fileId, chunkIndex } = Object(match) as Record<string, unknown>;
  const { attempt } = Object(when) as Record<string, unknown>;
  const isPattern = typeof fileId === 'string' && fileId.includes('*');
  const conditions = { operation, fileId: isPattern ? undefined : fileId, chunkIndex, attempt };
  const usable = Object.entries(conditions).filter(
    ([field, value]) => value !== undefined && matcherSchema.safeParse({ [field]: value }).success,
  );
  return Object.fromEntries(usable);
}
