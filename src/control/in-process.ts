// control/in-process.ts: the typed API of the test double in your own process: rules, journal, clock, uploads and media.
//
// Promises: every method does the same as the admin plane over HTTP. On the server itself, methods are about all keys together.
// `server.namespace(key)` is about one key, for tests that share one server and run at the same time.
// Must not know: how the commands and queries work.
import type { Har } from 'har-format';
import { ALL_NAMESPACES, PUBLIC_NAMESPACE, namespaceOfKey } from '../core/namespace.ts';
import type { NamespaceCommands, ResetScope, Settled } from './namespace-commands.ts';
import type { ExportedState } from './state-export.ts';
import type { Fixture, State } from './state-shapes.ts';
import type { ScrubView } from './scrubs.ts';
import type {
  Content,
  EntryDetails,
  UploadDetails,
  UploadView,
  NamespaceQueries,
} from './namespace-queries.ts';
import type { Control } from './control.ts';
import type { ClockView } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { RuleView } from '../faults/rule-set.ts';
import type { RuleInput } from '../faults/rule-input.ts';
import type { Verified } from '../integrity/content-verifier.ts';
import type { JournalEvent } from '../journal/event-feed.ts';
import type { Exchange } from '../journal/exchange.ts';
import type { ExchangeInFlight, InFlightMatcher } from '../journal/in-flight.ts';
import { toHar } from '../journal/har.ts';
import type { JournalMatcher } from '../journal/matcher.ts';
import { asText, hintLine, lineOf } from '../journal/verify-text.ts';
import type { Verdict, VerifyRequest } from '../journal/verify.ts';

interface Rules {
  /** Arms one rule or several rules. @throws AppError `invalid_rule`, naming each problem by its JSON pointer */
  add(rules: RuleInput | readonly RuleInput[]): RuleView[];
  /** Replaces all armed rules. @throws as `add`; the rules then stay as they were */
  replace(rules: RuleInput | readonly RuleInput[]): RuleView[];
  list(): RuleView[];
  /** The rule with its counters. @throws AppError `rule_not_found` */
  find(id: string): RuleView;
  /** @throws AppError `rule_not_found` */
  remove(id: string): void;
  /**
   * Resolves to the rule as soon as it has fired `count` times in all (default 1), before any effect of the fault can be seen.
   * @throws Error with the reason why the rule did not fire, after `timeoutMs` (default 5 s) or when the server is closed;
   * AppError `rule_not_found`, also when the rule is removed during the wait
   */
  fired(id: string, options?: { count?: number; timeoutMs?: number }): Promise<RuleView>;
  clear(): void;
}

interface JournalDouble {
  /** The matching exchanges, in order. */
  find(matcher?: JournalMatcher): readonly Exchange[];
  count(matcher?: JournalMatcher): number;
  /**
   * The exchanges that have not ended, in the order in which their heads were read, with their progress and the rule that holds
   * them.
   */
  inFlight(matcher?: InFlightMatcher): readonly ExchangeInFlight[];
  /**
   * Resolves as soon as `count` exchanges match.
   * @throws Error with the exchanges seen and the nearest misses, after `timeoutMs` (default 5 s) or when the server is closed
   */
  wait(
    matcher: JournalMatcher,
    options?: { count?: number; timeoutMs?: number },
  ): Promise<readonly Exchange[]>;
  /** As `POST verify`: `{}` checks that every armed rule fired. A rule for all keys must have fired for any key. */
  verify(request?: Partial<VerifyRequest>): Verdict;
  /** As `verify`. @throws Error that says what was expected, what came and what came nearest */
  expect(request?: Partial<VerifyRequest>): void;
  /**
   * Calls the listener for every exchange as it begins, progresses and ends, and for every ledger event and fault, from now on.
   * Returns a function that ends the subscription.
   * @param listener must not throw: the server calls it, and an error would be an uncaught exception of the process
   */
  subscribe(listener: (event: JournalEvent) => void): () => void;
  har(): Har;
  clear(): void;
}

interface ClockDouble {
  now(): ClockView;
  freeze(): Promise<Settled>;
  /** Resolves after everything that became due is done. @throws AppError `invalid_request` */
  advance(ms: number): Promise<Settled>;
  /** As `advance`. */
  set(at: Date): Promise<Settled>;
  /** Returns to the machine's time. Pending late commits are dropped. */
  reset(): Promise<void>;
}

interface UploadsDouble {
  list(): Promise<readonly UploadView[]>;
  /** The upload with its chunks; null: there is no such upload. */
  find(fileId: string): Promise<UploadDetails | null>;
  /** The bytes up to the first gap. @throws AppError `upload_not_found`; `upload_damaged` when the stored bytes are damaged */
  content(fileId: string): Promise<Buffer>;
  /** Reads all stored bytes of the upload and reports damage (rule D5). @throws AppError `upload_not_found`, `upload_damaged` */
  verify(fileId: string): Promise<Verified>;
  /** @throws AppError `upload_not_found` */
  remove(fileId: string): Promise<void>;
}

interface MediaDouble {
  list(): Promise<readonly EntryDetails[]>;
  /** Null: there is no such entry. */
  find(id: string): Promise<EntryDetails | null>;
  /** @throws AppError `media_not_found`; `upload_damaged` when the stored bytes are damaged */
  content(id: string): Promise<Buffer>;
  /** Reads all stored bytes of the entry and reports damage (rule D5). @throws AppError `media_not_found`, `upload_damaged` */
  verify(id: string): Promise<Verified>;
}

/** Rules, journal, clock and content of one namespace or of all namespaces. */
interface Double {
  readonly rules: Rules;
  readonly journal: JournalDouble;
  readonly clock: ClockDouble;
  readonly uploads: UploadsDouble;
  readonly media: MediaDouble;
  /**
   * Reads all stored bytes, at most 4 MiB in 25 ms, and reports damage (rule D5). Joins a running scrub.
   * @param options `signal` cancels the scrub, which then resolves with its findings so far
   */
  scrub(options?: { signal?: AbortSignal }): Promise<ScrubView>;
  /** Resets the given scopes; the default is all scopes. */
  reset(scopes?: readonly ResetScope[]): Promise<void>;
}

export interface NamespaceDouble extends Double {
  readonly state: {
    export(options?: { bytes?: boolean }): Promise<ExportedState>;
    /**
     * @param state a result of `export`, or a ready-made state such as `{ fixture: 'half-uploaded' }`. Replaces uploads and
     * entries.
     */
    import(state: Partial<State> | Fixture): Promise<{ uploads: number; media: number }>;
  };
}

/** A listening server with its commands and queries. */
export interface ControlledServer extends Pick<Control, 'controls' | 'queries' | 'views' | 'scrubs'> {
  /** `http://host:port`, with the port that the kernel assigned when the configured port is 0. */
  readonly url: string;
  /** Null: the admin plane is off (§9). */
  readonly adminUrl: string | null;
  readonly version: string;
  /** Refuses contract requests, gives those in flight at most `graceMs` to end, then closes. */
  drain(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

export interface TestDouble extends Double, Pick<ControlledServer, 'url' | 'adminUrl' | 'close' | 'drain'> {
  /** The namespace of this API key; without a key, the namespace of requests without a key. */
  namespace(apiKey?: string): NamespaceDouble;
}

export function createDouble(server: ControlledServer): TestDouble {
  const { url, adminUrl, controls } = server;
  return {
    ...doubleOf(server, ALL_NAMESPACES),
    url,
    adminUrl,
    close: () => server.close(),
    drain: (graceMs) => server.drain(graceMs),
    namespace(apiKey) {
      const own = apiKey === undefined ? PUBLIC_NAMESPACE : namespaceOfKey(apiKey);
      return {
        ...doubleOf(server, own),
        state: {
          export: ({ bytes = false } = {}) => controls.states.export(own, bytes),
          import: (state) => controls.states.import(own, state),
        },
      };
    },
  };
}

function doubleOf(server: ControlledServer, namespace: string): Double {
  const { controls, views, scrubs } = server;
  return {
    rules: {
      add: (rules) => controls.addRules(namespace, rules),
      replace: (rules) => controls.replaceRules(namespace, rules),
      list: () => controls.rules(namespace),
      find: (id) => controls.rule(namespace, id),
      remove: (id) => controls.removeRule(namespace, id),
      async fired(id, { count = 1, timeoutMs = 5_000 } = {}) {
        const { rule, reason, hints } = await controls.waitForRule(namespace, id, { count, timeoutMs });
        if (reason === null) return rule;
        throw new Error([`${reason}: ${rule.explain}`, ...hints.map(hintLine)].join('\n'));
      },
      clear: () => controls.clearRules(namespace),
    },
    journal: journalDouble(server, namespace),
    clock: clockDouble(controls, namespace),
    uploads: uploadsDouble(views, namespace),
    media: mediaDouble(views, namespace),
    scrub: ({ signal } = {}) => scrubs.run(namespace, signal),
    reset: async (scopes) => {
      await controls.reset(namespace, scopes);
    },
  };
}

function journalDouble({ queries, url, version }: ControlledServer, namespace: string): JournalDouble {
  const judge = (request: Partial<VerifyRequest> = {}): Verdict => queries.verify(namespace, request);
  return {
    find: (matcher = {}) => queries.find(namespace, matcher).exchanges,
    count: (matcher = {}) => queries.count(namespace, matcher),
    inFlight: (matcher = {}) => queries.inFlight(namespace, matcher),
    async wait(matcher, { count = 1, timeoutMs = 5_000 } = {}) {
      const waited = await queries.wait(namespace, { ...matcher, count, timeoutMs });
      if (waited.reason === null) return waited.exchanges;
      const { reason, nearMisses, hints } = waited;
      const nearest = nearMisses.length === 0 ? [] : ['  nearest:', ...nearMisses.map(lineOf)];
      const lines = [`${reason}: ${JSON.stringify(matcher)}`, ...nearest, ...hints.map(hintLine)];
      throw new Error(lines.join('\n'));
    },
    verify: judge,
    expect(request) {
      const verdict = judge(request);
      if (!verdict.pass) throw new Error(asText(verdict));
    },
    subscribe: (listener) => queries.subscribe(namespace, listener),
    har: () => toHar(queries.find(namespace, {}).exchanges, version, url),
    clear: () => queries.journal.clear(namespace),
  };
}

function clockDouble(controls: NamespaceCommands, namespace: string): ClockDouble {
  return {
    now: () => controls.clock(namespace),
    freeze: () => controls.changeClock(namespace, { mode: 'frozen' }),
    advance: (advanceMs) => controls.changeClock(namespace, { advanceMs }),
    set: (at) => controls.changeClock(namespace, { now: at.getTime() }),
    reset: () => controls.resetClock(namespace),
  };
}

function uploadsDouble(views: NamespaceQueries, namespace: string): UploadsDouble {
  return {
    list: async () => (await views.uploads(namespace)).uploads,
    find: (fileId) => orNull(views.upload(namespace, fileId)),
    content: async (fileId) => bytesOf(await views.uploadContent(namespace, fileId)),
    verify: (fileId) => views.verifyUpload(namespace, fileId),
    remove: (fileId) => views.removeUpload(namespace, fileId),
  };
}

function mediaDouble(views: NamespaceQueries, namespace: string): MediaDouble {
  return {
    list: async () => (await views.entries(namespace)).entries,
    find: (id) => orNull(views.entry(namespace, id)),
    content: async (id) => bytesOf(await views.entryContent(namespace, id)),
    verify: (id) => views.verifyEntry(namespace, id),
  };
}

async function orNull<T>(found: Promise<T>): Promise<T | null> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof AppError && error.status === 404) return null;
    throw error;
  }
}

async function bytesOf(content: Content): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of content.read()) pieces.push(piece);
  return Buffer.concat(pieces);
}
