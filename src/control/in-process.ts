// control/in-process.ts: the server as a test double in your own process: rules, journal, clock, uploads, media, typed.
//
// Promises: the same as the admin plane over HTTP, without HTTP. On the server itself everything is about all keys
// together; `server.namespace(key)` is about one, for tests that run side by side on one server.
// Must not know: Fastify, how any of it is done.
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
  /** Arms a rule, or several. @throws AppError `invalid_rule`, naming each problem by its JSON pointer */
  add(rules: RuleInput | readonly RuleInput[]): RuleView[];
  /** Instead of all that were armed. @throws as `add`, and the rules are as before then */
  replace(rules: RuleInput | readonly RuleInput[]): RuleView[];
  list(): RuleView[];
  /** With its counters. @throws AppError `rule_not_found` */
  find(id: string): RuleView;
  /** @throws AppError `rule_not_found` */
  remove(id: string): void;
  /**
   * The rule as soon as it has fired `count` times in all (1), before anything of its fault can be seen.
   * @throws Error after `timeoutMs` (5 s), or when the server is closed, with why it did not fire; AppError `rule_not_found`, also as soon as it is removed
   */
  fired(id: string, options?: { count?: number; timeoutMs?: number }): Promise<RuleView>;
  clear(): void;
}

interface JournalDouble {
  /** In order. */
  find(matcher?: JournalMatcher): readonly Exchange[];
  count(matcher?: JournalMatcher): number;
  /** Exchanges that have not ended, in the order in which their heads were read: how far they are, which rule holds them. */
  inFlight(matcher?: InFlightMatcher): readonly ExchangeInFlight[];
  /** Resolves as soon as `count` exchanges match. @throws Error after `timeoutMs` (5 s), or when the server is closed, with what was seen and what comes nearest */
  wait(
    matcher: JournalMatcher,
    options?: { count?: number; timeoutMs?: number },
  ): Promise<readonly Exchange[]>;
  /** As `POST verify`: `{}` checks that every armed rule fired; one armed for all keys, that it did for any. */
  verify(request?: Partial<VerifyRequest>): Verdict;
  /** As `verify`. @throws Error that says what was expected, what came and what came nearest */
  expect(request?: Partial<VerifyRequest>): void;
  /**
   * Is told of every exchange, as it begins, progresses and ends, ledger event and fault from now on. Returns what ends it.
   * @param listener must not throw: it is called by the server, and what it throws is the process's uncaught exception
   */
  subscribe(listener: (event: JournalEvent) => void): () => void;
  har(): Har;
  clear(): void;
}

interface ClockDouble {
  now(): ClockView;
  freeze(): Promise<Settled>;
  /** Everything that becomes due is done when it resolves. @throws AppError `invalid_request` */
  advance(ms: number): Promise<Settled>;
  /** As `advance`. */
  set(at: Date): Promise<Settled>;
  /** Back to the machine's time. Late commits that were to come are dropped. */
  reset(): Promise<void>;
}

interface UploadsDouble {
  list(): Promise<readonly UploadView[]>;
  /** With its chunks. Null: there is none. */
  find(fileId: string): Promise<UploadDetails | null>;
  /** The bytes up to the first gap. @throws AppError `upload_not_found`; `upload_damaged` when they are not what was stored */
  content(fileId: string): Promise<Buffer>;
  /** Reads all that is stored of it and says what is not what was stored (rule D5). @throws AppError `upload_not_found`, `upload_damaged` */
  verify(fileId: string): Promise<Verified>;
  /** @throws AppError `upload_not_found` */
  remove(fileId: string): Promise<void>;
}

interface MediaDouble {
  list(): Promise<readonly EntryDetails[]>;
  /** Null: there is none. */
  find(id: string): Promise<EntryDetails | null>;
  /** @throws AppError `media_not_found`; `upload_damaged` when the bytes are not what was stored */
  content(id: string): Promise<Buffer>;
  /** As of an upload. @throws AppError `media_not_found`, `upload_damaged` */
  verify(id: string): Promise<Verified>;
}

/** Rules, journal, clock and content of one namespace, or of all. */
interface Double {
  readonly rules: Rules;
  readonly journal: JournalDouble;
  readonly clock: ClockDouble;
  readonly uploads: UploadsDouble;
  readonly media: MediaDouble;
  /**
   * Reads everything that is stored, at most 4 MiB in 25 ms, and says what is damaged (rule D5). Joins one that is running.
   * @param options `signal` cancels it, and it resolves with what it has found
   */
  scrub(options?: { signal?: AbortSignal }): Promise<ScrubView>;
  /** Forgets everything, or what is named. */
  reset(scopes?: readonly ResetScope[]): Promise<void>;
}

export interface NamespaceDouble extends Double {
  readonly state: {
    export(options?: { bytes?: boolean }): Promise<ExportedState>;
    /** What `export` gave, or `{ fixture: 'half-uploaded' }` and its like. Replaces uploads and entries. */
    import(state: Partial<State> | Fixture): Promise<{ uploads: number; media: number }>;
  };
}

/** A server that listens, and what can be asked of it. */
export interface ControlledServer extends Pick<Control, 'controls' | 'queries' | 'views' | 'scrubs'> {
  /** `http://host:port`, with the port that was really taken. */
  readonly url: string;
  /** Null: the admin plane is off (§9). */
  readonly adminUrl: string | null;
  readonly version: string;
  /** Refuses contract requests, lets those in flight end for at most `graceMs`, then closes. */
  drain(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

export interface TestDouble extends Double, Pick<ControlledServer, 'url' | 'adminUrl' | 'close' | 'drain'> {
  /** What belongs to this API key; without one, to requests without a key. */
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
