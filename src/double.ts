// double.ts: the server as a test double in your own process: rules, journal, clock, uploads, media, typed.
//
// Promises: the same as the admin plane over HTTP, without HTTP. On the server itself everything is about all keys
// together; `server.namespace(key)` is about one, for tests that run side by side on one server.
// Must not know: Fastify, how any of it is done.
import type { Controls, ResetScope } from './admin/controls.ts';
import type { Settled } from './admin/clock-routes.ts';
import type { Server } from './app.ts';
import type { ClockView } from './clock.ts';
import { AppError } from './errors.ts';
import type { RuleView } from './faults/rule-set.ts';
import { Keys, PUBLIC_NAMESPACE } from './http/keys.ts';
import type { Exchange } from './journal/exchange.ts';
import { parseMatcher, type JournalMatcher } from './journal/matcher.ts';
import { parseVerify, verify, type Verdict } from './journal/verify.ts';
import type { EntryView } from './media/entry.ts';

const EVERYBODY = '*';

export interface UploadView {
  readonly fileId: string;
  readonly namespace: string;
  readonly totalChunks: number;
  readonly currentSize: number;
  readonly completed: boolean;
  /** The id of the entry it became. */
  readonly finalizedAs: string | null;
}

/** Rules, journal, clock and content of one namespace, or of all. */
export interface NamespaceDouble {
  readonly rules: {
    /** Arms a rule, or several. @throws AppError `invalid_rule`, naming each problem by its JSON pointer */
    add(rules: object | readonly object[]): RuleView[];
    list(): RuleView[];
    clear(): void;
  };
  readonly journal: {
    /** In order. */
    find(matcher?: JournalMatcher): readonly Exchange[];
    count(matcher?: JournalMatcher): number;
    /** Resolves as soon as `count` exchanges match. @throws Error after `timeoutMs` (5 s), with what was seen */
    wait(
      matcher: JournalMatcher,
      options?: { count?: number; timeoutMs?: number },
    ): Promise<readonly Exchange[]>;
    /** As `POST verify`: `{}` checks that every armed rule fired. */
    verify(request?: object): Verdict;
    clear(): void;
  };
  readonly clock: {
    now(): ClockView;
    freeze(): Promise<Settled>;
    /** Everything that becomes due is done when it resolves. */
    advance(ms: number): Promise<Settled>;
    set(at: Date): Promise<Settled>;
    reset(): void;
  };
  readonly uploads: {
    list(): Promise<UploadView[]>;
    find(fileId: string): Promise<UploadView | null>;
  };
  readonly media: { list(): Promise<EntryView[]> };
  readonly state: {
    export(options?: { bytes?: boolean }): Promise<object>;
    /** What `export` gave, or `{ fixture: 'half-uploaded' }` and its like. Replaces uploads and entries. */
    import(state: object): Promise<{ uploads: number; media: number }>;
  };
  /** Forgets everything, or what is named. */
  reset(scopes?: readonly ResetScope[]): Promise<void>;
}

export interface TestDouble extends NamespaceDouble, Pick<Server, 'url' | 'adminUrl' | 'close' | 'drain'> {
  /** What belongs to this API key; without one, to requests without a key. */
  namespace(apiKey?: string): NamespaceDouble;
}

export function createDouble(server: Server): TestDouble {
  const keys = new Keys([]);
  const { url, adminUrl } = server;
  return {
    ...namespaceDouble(server, EVERYBODY),
    url,
    adminUrl,
    close: () => server.close(),
    drain: (graceMs) => server.drain(graceMs),
    namespace(apiKey) {
      const own = apiKey === undefined ? PUBLIC_NAMESPACE : keys.caller({ 'x-api-key': apiKey }).namespace;
      return namespaceDouble(server, own);
    },
  };
}

function namespaceDouble(server: Server, namespace: string): NamespaceDouble {
  const { controls } = server;
  return {
    rules: {
      add: (rules) => controls.addRules(namespace, rules),
      list: () => controls.rules(namespace),
      clear: () => controls.clearRules(namespace),
    },
    journal: journalDouble(server, namespace),
    clock: clockDouble(controls, namespace),
    uploads: {
      list: () => uploadsOf(server, namespace),
      find: async (fileId) =>
        (await uploadsOf(server, namespace)).find((upload) => upload.fileId === fileId) ?? null,
    },
    media: { list: () => entriesOf(server, namespace) },
    state: {
      export: (options) => controls.states.export(namespace, options?.bytes ?? false),
      import: (state) =>
        controls.states.import(namespace === EVERYBODY ? PUBLIC_NAMESPACE : namespace, state),
    },
    reset: async (scopes) => {
      await controls.reset(namespace, scopes);
    },
  };
}

function journalDouble({ journal, controls }: Server, namespace: string): NamespaceDouble['journal'] {
  const existing = (): NonNullable<typeof journal> => {
    if (journal !== null) return journal;
    throw new AppError('journal_off', 'this server keeps no journal; start it without noJournal');
  };
  return {
    find: (matcher = {}) => existing().find(namespace, parseMatcher(matcher)).exchanges,
    count: (matcher = {}) => existing().count(namespace, parseMatcher(matcher)),
    async wait(matcher, { count = 1, timeoutMs = 5_000 } = {}) {
      const result = await existing().wait(namespace, parseMatcher(matcher), { count, timeoutMs });
      if (!result.timedOut) return result.exchanges;
      const wanted = JSON.stringify(matcher);
      throw new Error(
        `waited ${timeoutMs} ms for ${count} exchanges like ${wanted} and saw ${result.seen.length}`,
      );
    },
    verify: (request = {}) =>
      verify(parseVerify(request), existing().find(namespace).exchanges, controls.unfiredRules(namespace)),
    clear: () => existing().clear(namespace),
  };
}

function clockDouble(controls: Controls, namespace: string): NamespaceDouble['clock'] {
  return {
    now: () => controls.clock(namespace),
    freeze: () => controls.changeClock(namespace, { mode: 'frozen' }),
    advance: (advanceMs) => controls.changeClock(namespace, { advanceMs }),
    set: (at) => controls.changeClock(namespace, { now: at.getTime() }),
    reset: () => controls.resetClock(namespace),
  };
}

async function uploadsOf({ uploads }: Server, namespace: string): Promise<UploadView[]> {
  const views: UploadView[] = [];
  for await (const { namespace: own, state } of uploads.list(namespace)) {
    const { fileId, totalChunks, currentSize, completedBy, finalization } = state;
    const finalizedAs = finalization?.mediaId ?? null;
    views.push({
      fileId,
      namespace: own,
      totalChunks,
      currentSize,
      completed: completedBy !== null,
      finalizedAs,
    });
  }
  return views;
}

async function entriesOf({ media }: Server, namespace: string): Promise<EntryView[]> {
  const views: EntryView[] = [];
  for await (const { entry } of media.list(namespace)) views.push(media.view(entry));
  return views;
}
