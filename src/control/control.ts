// control/control.ts: composes the parts that make the server a test double: rules, journal, clocks, and the commands on them.
//
// Must not know: how the server starts and ends.
import { ALL_NAMESPACES } from '../core/namespace.ts';
import { Contents } from './contents.ts';
import { NamespaceCommands } from './namespace-commands.ts';
import { Hints } from './hints.ts';
import { JournalQueries } from './journal-queries.ts';
import { Scrubs } from './scrubs.ts';
import { NamespaceStates } from './state.ts';
import { NamespaceQueries } from './namespace-queries.ts';
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { Fixtures } from '../media/accounts.ts';
import type { Clocks } from '../core/clock.ts';
import { crashRefusalOf, type Crash } from '../faults/crash.ts';
import { RuleBook } from '../faults/rule-book.ts';
import type { Rule } from '../faults/rules.ts';
import { isLoopback } from '../core/loopback.ts';
import { SeededIds } from '../core/ids.ts';
import { ContentVerifier } from '../integrity/content-verifier.ts';
import type { DamageBook } from '../integrity/damage-book.ts';
import type { VerifiedReader } from '../integrity/verified-reader.ts';
import { Journal } from '../journal/journal.ts';
import { NO_PAST, type Numbers, type Past } from '../journal/journal-lines.ts';
import type { Held, JournalFile } from '../journal/journal-file.ts';
import { LiveExchanges } from '../exchange/live-exchanges.ts';
import { restore } from './restore.ts';
import type { Media } from '../media/media.ts';
import type { Expiries } from '../uploads/expiries.ts';
import type { Storage } from '../uploads/ports.ts';
import type { Uploads } from '../uploads/uploads.ts';

export interface ControlOptions {
  readonly config: Config;
  readonly fixtures: Fixtures;
  readonly logger: Logger;
  /** Rules that are armed at start, for every namespace. */
  readonly rules?: readonly Rule[];
  /** Kills the process. Absent: the server runs inside a foreign process, which it must not kill. */
  readonly crash?: Crash | undefined;
}

export interface Services {
  readonly clocks: Clocks;
  readonly ids: SeededIds;
  readonly uploads: Uploads;
  readonly expiries: Expiries;
  readonly media: Media;
  readonly reader: VerifiedReader;
}

export interface Control {
  readonly rules: RuleBook;
  /** Null: `--no-journal`. */
  readonly journal: Journal | null;
  readonly queries: JournalQueries;
  readonly controls: NamespaceCommands;
  readonly views: NamespaceQueries;
  readonly live: LiveExchanges;
  readonly scrubs: Scrubs;
  /** The numbers that earlier processes gave out. */
  readonly given: Numbers;
}

interface Beneath {
  readonly storage: Storage;
  readonly damages: DamageBook;
  /** Null: only content outlives the process. */
  readonly kept: { readonly file: JournalFile; readonly past: Past } | null;
}

export function createControl(
  options: ControlOptions,
  { clocks, ids, uploads, expiries, media, reader }: Services,
  { storage, damages, kept }: Beneath,
): Control {
  const { config, fixtures, rules: armed = [], crash } = options;
  const rules = new RuleBook(
    config.seed ?? null,
    (namespace) => clocks.now(namespace),
    (namespace) => kept?.file.rulesChanged(namespace),
  );
  const journal = config.noJournal ? null : journalOf(config, kept);
  const crashRefusal = crashRefusalOf(options);
  begin({ rules, journal, kept }, { ...options, crashRefusal, armed });
  const contents = new Contents(uploads, media);
  const verifier = new ContentVerifier(storage.bytes, damages);
  const uploadTtlMs = config.uploadTtl;
  const views = new NamespaceQueries({ uploads, media, contents, reader, verifier, damages, uploadTtlMs });
  const states = new NamespaceStates({
    uploads,
    media,
    ids,
    fixtures,
    clock: clocks,
    dropLate: (namespace) => clocks.drop(namespace),
    contents,
    reader,
    uploadTtlMs,
    pendingTimeMs: config.pendingTime,
  });
  // Rules have their own sequence of ids: with a seed, arming a rule must not change the ids of entries.
  const ruleIds = new SeededIds(config.seed === undefined ? null : `${config.seed}/rules`);
  const live = new LiveExchanges();
  const hints = new Hints({ rules, journal, isOpen: config.apiKeys.length === 0 });
  const controls = new NamespaceCommands({
    rules,
    journal,
    clocks,
    uploads,
    expiries,
    media,
    states,
    live,
    hints,
    newRuleId: (namespace) => `rule-${ruleIds.next(namespace).slice(0, 8)}`,
    isTtlNeeded: !isLoopback(config.host),
    crashRefusal,
    crash: () => crashNow({ journal, kept }, crash),
    onReset: (namespace) => {
      ids.reset(namespace);
      ruleIds.reset(namespace);
    },
  });
  const scrubs = new Scrubs({ uploads, media, views, damages });
  const queries = new JournalQueries({ journal, controls, hints, live });
  return { rules, journal, queries, controls, views, scrubs, live, given: kept?.past ?? NO_PAST };
}

/** Writes the journal to the disk, then kills the process. */
function crashNow(
  { journal, kept }: Pick<Control, 'journal'> & Pick<Beneath, 'kept'>,
  crash: Crash | undefined,
): never {
  journal?.flush();
  kept?.file.writeNow();
  if (crash !== undefined) return crash();
  throw new Error('a rule that crashes was armed where none may be');
}

function journalOf(config: Config, kept: Beneath['kept']): Journal {
  const limits = { maxEntries: config.journalEntries, maxBytes: config.journalBytes };
  return new Journal({ ...limits, keep: kept === null ? undefined : (line) => kept.file.keep(line) });
}

/** Arms the rules of `--rules` and restores the state of earlier processes. */
function begin(
  { rules, journal, kept }: Pick<Control, 'rules' | 'journal'> & Pick<Beneath, 'kept'>,
  about: Pick<ControlOptions, 'logger'> & { armed: readonly Rule[]; crashRefusal: string | null },
): void {
  const { armed } = about;
  if (kept === null || journal === null) return rules.add(ALL_NAMESPACES, armed);
  restore({ ...about, past: kept.past, rules, journal });
  kept.file.holds(heldBy(journal, rules, new Set(armed.map(({ id }) => id))));
}

/** @param fileIds the ids of the rules of `--rules` */
function heldBy(journal: Journal, rules: RuleBook, fileIds: ReadonlySet<string>): Held {
  const rulesOf = (namespace: string): object[] => {
    journal.flush(); // The file must name the exchange of the last fault before the rule that refers to its number.
    return rules.states(namespace).map((state) => {
      const isOfFile = namespace === ALL_NAMESPACES && fileIds.has(String(state.given['id']));
      return { ...state, isOfFile };
    });
  };
  return {
    exchanges: () => journal.find(ALL_NAMESPACES).exchanges,
    rules: () => rules.namespaces.map((namespace) => [namespace, rulesOf(namespace)] as const),
    rulesOf,
  };
}
