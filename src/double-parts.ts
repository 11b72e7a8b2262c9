// double-parts.ts: what makes the server a test double, put together: rules, journal, clocks, and what can be done to them.
//
// Must not know: HTTP, how the server starts and ends.
import { Contents } from './admin/contents.ts';
import { Controls } from './admin/controls.ts';
import { Hints } from './admin/hints.ts';
import { JournalQueries } from './admin/journal-queries.ts';
import { Scrubs } from './admin/scrubs.ts';
import { NamespaceStates } from './admin/state.ts';
import { Views } from './admin/views.ts';
import type { ServerOptions } from './app.ts';
import type { Clocks } from './clock.ts';
import { crashRefusalOf } from './crash.ts';
import { EVERYBODY, RuleBook } from './faults/rule-book.ts';
import { isLoopback } from './http/addresses.ts';
import { MediaIds } from './ids.ts';
import { ContentVerifier } from './integrity/content-verifier.ts';
import type { DamageBook } from './integrity/damage-book.ts';
import type { VerifiedReader } from './integrity/verified-reader.ts';
import { Journal } from './journal/journal.ts';
import { LiveExchanges } from './live-exchanges.ts';
import type { Media } from './media/media.ts';
import type { Expiries } from './uploads/expiries.ts';
import type { Storage } from './uploads/ports.ts';
import type { Uploads } from './uploads/uploads.ts';

export interface Services {
  readonly clocks: Clocks;
  readonly ids: MediaIds;
  readonly uploads: Uploads;
  readonly expiries: Expiries;
  readonly media: Media;
  readonly reader: VerifiedReader;
}

export interface DoubleParts {
  readonly rules: RuleBook;
  /** Null: `--no-journal`. */
  readonly journal: Journal | null;
  readonly queries: JournalQueries;
  readonly controls: Controls;
  readonly views: Views;
  readonly live: LiveExchanges;
  readonly scrubs: Scrubs;
}

export function createDoubleParts(
  options: Pick<ServerOptions, 'config' | 'crash' | 'fixtures' | 'rules'>,
  { clocks, ids, uploads, expiries, media, reader }: Services,
  { storage, damages }: { readonly storage: Storage; readonly damages: DamageBook },
): DoubleParts {
  const { config, fixtures, rules: armed = [], crash } = options;
  const rules = new RuleBook(config.seed ?? null, (namespace) => clocks.now(namespace));
  rules.add(EVERYBODY, armed);
  const limits = { maxEntries: config.journalEntries, maxBytes: config.journalBytes };
  const journal = config.noJournal ? null : new Journal(limits);
  const contents = new Contents(uploads, media);
  const verifier = new ContentVerifier(storage.bytes, damages);
  const uploadTtlMs = config.uploadTtl;
  const views = new Views({ uploads, media, contents, reader, verifier, damages, uploadTtlMs });
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
    pendingMs: config.pendingTime,
  });
  // A sequence of their own: with a seed, arming a rule must not change the ids of entries.
  const ruleIds = new MediaIds(config.seed === undefined ? null : `${config.seed}/rules`);
  const live = new LiveExchanges();
  const hints = new Hints({ rules, journal, isOpen: config.apiKeys.length === 0 });
  const controls = new Controls({
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
    crashRefusal: crashRefusalOf(options),
    crash: () => {
      journal?.settle();
      if (crash !== undefined) return crash();
      throw new Error('a rule that crashes was armed where none may be');
    },
    onReset: (namespace) => {
      ids.reset(namespace);
      ruleIds.reset(namespace);
    },
  });
  const scrubs = new Scrubs({ uploads, media, views, damages });
  const queries = new JournalQueries({ journal, controls, hints, live });
  return { rules, journal, queries, controls, views, scrubs, live };
}
