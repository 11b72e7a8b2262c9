// system/namespaces-suite.ts: an API key is a namespace. Eight workers on one server, each with its own key but all with the same
// fileIds and rule ids, run their tests in parallel and never affect each other (K2, K4, behaviour §9, §10).
//
// A worker knows what it did since its last reset. After every step it expects to see exactly that: rules and how often they fired,
// exchanges, uploads, entries, the clock, the next ids. Each question goes over HTTP or in process, by chance. With `TEST_SEED`
// every worker runs the same tests again.
import { expect, it } from 'vitest';
import { createDouble, type NamespaceDouble, type TestDouble } from '../../src/control/in-process.ts';
import { AppError } from '../../src/core/errors.ts';
import type { RuleInput } from '../../src/faults/rule-input.ts';
import type { EntryDetails, Exchange, ResetScope, RuleView, Settled, UploadView } from '../../src/index.ts';
import type { Outcome } from '../../src/journal/exchange.ts';
import { openTestServer } from '../helpers/app.ts';
import { DoubleClient, type Told } from '../helpers/double-client.ts';
import { chunkParts, fieldsFirst, formOf } from '../helpers/multipart.ts';
import { diceOf, SEED, type Dice } from '../helpers/seed.ts';

const WORKERS = 8;
const ENOUGH_FOR_EACH = 500;

/** Chunks of every upload. */
const TOTAL = 3;
const FILE_IDS = ['f1', 'f2', 'f3'] as const;
const ANY_OF_THEM = 'f*';
/** Without one, the server makes up an id. */
const RULE_IDS = ['one', 'two', ''] as const;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** In the order in which they are done. */
const SCOPES: readonly ResetScope[] = ['rules', 'uploads', 'media', 'journal', 'clock'];

const LEARNED_IDS = 40;
const LEARNED_DRAWS = 60;
/** What was learned stays valid from one reset to the next. */
const DRAWN_TIMES = 10;

type Operation = 'uploadChunk' | 'getUploadStatus' | 'createVideo';

/** What a client meets that meets a rule. */
interface Meeting {
  readonly fault: string;
  /** 0: no answer. Undefined: the status of the route. */
  readonly status?: number;
  readonly outcome?: Outcome;
  readonly isStored: boolean;
  /** How many bytes of the file are on record, if not all. */
  readonly fileBytes?: number;
  readonly and?: 'forget' | 'stale' | 'fail' | 'late';
}

const LOST = { status: 0, outcome: 'fault-reset', isStored: true } as const;

/** By the number of the worker, so that no two workers arm exactly the same rule. */
const MEETINGS: Readonly<Record<Operation, readonly ((worker: number) => Meeting)[]>> = {
  uploadChunk: [
    (n) => ({ fault: `status@headers:${510 + n}`, status: 510 + n, isStored: false, fileBytes: 0 }),
    (n) => ({ fault: `status@pre-commit:${520 + n}`, status: 520 + n, isStored: false }),
    (n) => ({ fault: `status@post-commit:${530 + n}`, status: 530 + n, isStored: true }),
    (n) => ({ ...LOST, fault: `reset@body:${10 + n}`, isStored: false, fileBytes: 10 + n }),
    () => ({ ...LOST, fault: 'reset@post-commit' }),
    () => ({ fault: 'close@pre-commit', status: 0, outcome: 'fault-closed', isStored: false }),
    () => ({ fault: 'forget@post-commit', isStored: true, and: 'forget' }),
  ],
  getUploadStatus: [
    (n) => ({ fault: `status@headers:${540 + n}`, status: 540 + n, isStored: false }),
    () => ({ fault: 'close@headers', status: 0, outcome: 'fault-closed', isStored: false }),
    () => ({ fault: 'stale-status', isStored: false, and: 'stale' }),
  ],
  createVideo: [
    (n) => ({ fault: `status@pre-commit:${550 + n}`, status: 550 + n, isStored: false }),
    () => ({ ...LOST, fault: 'reset@post-commit' }),
    () => ({ fault: 'fail-publish:youtube', isStored: true, and: 'fail' }),
  ],
};
const LATE: Meeting = { fault: 'late-commit:10m', status: 503, isStored: false, and: 'late' };

interface Subject {
  readonly operation: Operation;
  readonly fileId: string;
}

interface Armed extends Subject {
  readonly id: string;
  readonly times: number;
  /** Every other time, by the namespace's random sequence. */
  readonly isDrawn: boolean;
  readonly meeting: Meeting;
  matched: number;
  fired: number;
}

/** With the machine's clock a moment is known to the minute, with a frozen clock to the millisecond. */
interface Instant {
  readonly at: number;
  readonly isExact: boolean;
}

interface Recorded {
  /** It changes when what the worker sent is stored late. */
  line: string;
  readonly at: Instant;
}

interface Upload {
  readonly stored: number;
  readonly touched: Instant;
  readonly finalizedAs: string | null;
}

interface Entry {
  readonly id: string;
  readonly fileId: string;
  readonly created: Instant;
  readonly hasFailed: boolean;
}

/** The random sequences that a worker gets when it is alone. */
interface Alone {
  readonly namespace: string;
  readonly entryIds: readonly string[];
  readonly ruleIds: readonly string[];
  readonly draws: readonly boolean[];
}

/** What an exchange should meet. */
interface Expected {
  readonly status: number;
  readonly ruleId: string | null;
}

/** What a worker's namespace should contain, derived only from what the worker did. */
class Model {
  rules: Armed[] = [];
  readonly uploads = new Map<string, Upload>();
  readonly entries = new Map<string, Entry>();
  /** A line for each exchange, and its time. */
  exchanges: Recorded[] = [];
  /** Null: the machine's clock. */
  frozenAt: number | null = null;
  readonly #number: number;
  readonly #alone: Alone;
  readonly #attempts = new Map<string, number>();
  readonly #taken = { entryIds: 0, ruleIds: 0, draws: 0 };
  #late: { readonly at: number; readonly fileId: string; readonly sent: Recorded }[] = [];

  constructor(number: number, alone: Alone) {
    this.#number = number;
    this.#alone = alone;
  }

  now(): Instant {
    return this.frozenAt === null ? { at: Date.now(), isExact: false } : { at: this.frozenAt, isExact: true };
  }

  /** Chunks from the first one on. Their length depends on the worker's number, so no two workers' files are alike. */
  bytesOf(fileId: string, from: number, to: number): Buffer {
    const text = (index: number): string => `chunk ${index} of ${fileId} of worker ${this.#number} `;
    const length = 40 + 3 * this.#number;
    return Buffer.concat(
      Array.from({ length: to - from }, (_, i) => Buffer.alloc(length + from + i, text(from + i))),
    );
  }

  storedOf(fileId: string): number {
    return this.uploads.get(fileId)?.stored ?? 0;
  }

  contentOf(fileId: string): string | null {
    const stored = this.storedOf(fileId);
    return stored === 0 ? null : this.bytesOf(fileId, 0, stored).toString();
  }

  arm(rule: Omit<Armed, 'matched' | 'fired'>): void {
    this.rules.push({ ...rule, id: rule.id || this.#take('ruleIds'), matched: 0, fired: 0 });
  }

  /** The next chunk, or one that is there already. */
  chunk(fileId: string, index: number): Expected {
    const { meeting, record } = this.#meet({ operation: 'uploadChunk', fileId }, index);
    const { length } = this.bytesOf(fileId, index, index + 1);
    const isNew = index === this.storedOf(fileId) && meeting.isStored;
    if (isNew) this.#store(fileId, index);
    if (meeting.and === 'forget') this.uploads.delete(fileId);
    const expected = record(200, { stored: isNew ? length : null, fileBytes: meeting.fileBytes ?? length });
    const [sent] = this.exchanges.slice(-1);
    if (meeting.and === 'late' && sent !== undefined)
      this.#late.push({ at: this.now().at + 10 * MINUTE, fileId, sent });
    return expected;
  }

  status(fileId: string): Expected & { readonly currentSize: number } {
    const { meeting, record } = this.#meet({ operation: 'getUploadStatus', fileId });
    const chunks = this.storedOf(fileId) - (meeting.and === 'stale' ? 1 : 0);
    return { ...record(200), currentSize: chunks > 0 ? this.bytesOf(fileId, 0, chunks).length : 0 };
  }

  /** Only for an upload that is complete. */
  finalize(fileId: string, upload: Upload): Expected & { readonly id: string | null } {
    const { meeting, record } = this.#meet({ operation: 'createVideo', fileId });
    const isNew = upload.finalizedAs === null && meeting.isStored;
    const id = isNew ? this.#create(fileId, upload) : upload.finalizedAs;
    const entry = this.entries.get(id ?? '');
    if (meeting.and === 'fail' && entry !== undefined && this.#statusOf(entry) !== 'completed')
      this.entries.set(entry.id, { ...entry, hasFailed: true });
    const stored = isNew ? this.bytesOf(fileId, 0, TOTAL).length : null;
    return { ...record(isNew ? 201 : 200, { stored, fileBytes: 0 }), id };
  }

  read(status: 200 | 404): void {
    this.#record(`getVideo - ${status} ${status === 200 ? 'answered' : 'refused'} - stored - file 0`);
  }

  moveClock(at: number): Settled {
    const statuses = (): string[] => [...this.entries.values()].map((entry) => this.#statusOf(entry));
    const before = statuses();
    this.frozenAt = at;
    const late = this.#late.filter((one) => one.at <= at);
    this.#late = this.#late.filter((one) => one.at > at);
    for (const { fileId, sent } of late) {
      this.#store(fileId, 0);
      sent.line = sent.line.replace('stored -', `stored ${this.bytesOf(fileId, 0, 1).length}`);
    }
    const expired = [...this.uploads].filter(([, { touched }]) => touched.at + DAY <= at);
    for (const [fileId] of expired) this.uploads.delete(fileId);
    const changed = statuses().filter((status, i) => status !== before[i]);
    return { uploadsExpired: expired.length, entriesChanged: changed.length, lateCommits: late.length };
  }

  /** Returns how much there was to forget. */
  reset(scopes: readonly ResetScope[]): Record<string, number> {
    const forget: Readonly<Record<ResetScope, () => number>> = {
      rules: () => {
        this.#attempts.clear();
        this.#taken.draws = 0;
        return this.rules.splice(0).length;
      },
      uploads: () => emptied(this.uploads),
      media: () => {
        for (const [fileId, { finalizedAs }] of this.uploads)
          if (finalizedAs !== null && this.entries.has(finalizedAs)) this.uploads.delete(fileId);
        return emptied(this.entries);
      },
      journal: () => this.exchanges.splice(0).length,
      clock: () => {
        [this.frozenAt, this.#late] = [null, []];
        return 1;
      },
    };
    const inOrder = SCOPES.filter((scope) => scopes.includes(scope));
    if (inOrder.length === SCOPES.length) Object.assign(this.#taken, { entryIds: 0, ruleIds: 0 });
    return Object.fromEntries(inOrder.map((scope) => [scope, forget[scope]()]));
  }

  /** It replaces everything that was there. */
  import(fileId: string): void {
    this.uploads.clear();
    this.entries.clear();
    this.#store(fileId, 0);
  }

  /** What is there, in the form that `Worker.#look` returns. */
  shown(): object {
    const own = `${this.#alone.namespace} in time`;
    const uploads = [...this.uploads].map(([fileId, { stored, finalizedAs }]) => {
      const { length } = this.bytesOf(fileId, 0, stored);
      return `${fileId} ${length} ${stored === TOTAL} ${finalizedAs} ${own}`;
    });
    const entries = [...this.entries.values()].map((entry) => {
      const { length } = this.bytesOf(entry.fileId, 0, TOTAL);
      return `${entry.id} ${entry.fileId} ${length} ${this.#statusOf(entry)} ${own}`;
    });
    return {
      rules: this.rules.map(
        ({ id, meeting, matched, fired, times }) =>
          `${id} ${meeting.fault} ${matched} ${fired} ${times - fired}`,
      ),
      uploads: uploads.toSorted(),
      entries: entries.toSorted(),
      exchanges: this.exchanges.map(({ line }) => line),
      count: this.exchanges.length,
      clock: this.frozenAt === null ? 'real' : `frozen ${new Date(this.frozenAt).toISOString()}`,
    };
  }

  #statusOf({ created, hasFailed }: Entry): string {
    const elapsed = this.now().at - created.at;
    if (elapsed < HOUR) return 'pending';
    if (elapsed < 2 * HOUR) return 'processing';
    return hasFailed ? 'failed' : 'completed';
  }

  #store(fileId: string, index: number): void {
    const { finalizedAs = null } = this.uploads.get(fileId) ?? {};
    this.uploads.set(fileId, { stored: index + 1, touched: this.now(), finalizedAs });
  }

  #create(fileId: string, upload: Upload): string {
    const id = this.#take('entryIds');
    this.uploads.set(fileId, { ...upload, finalizedAs: id, touched: this.now() });
    this.entries.set(id, { id, fileId, created: this.now(), hasFailed: false });
    return id;
  }

  /** Decides which rule an exchange meets. `record` notes the exchange as the route and the rule make it. */
  #meet(subject: Subject, index: number | null = null) {
    const key = `${subject.operation} ${subject.fileId}/${index}`;
    const attempt = (this.#attempts.get(key) ?? 0) + 1;
    this.#attempts.set(key, attempt);
    const rule = this.#claim(subject);
    const { id: ruleId = null, meeting = { fault: '', isStored: true } as Meeting } = rule ?? {};
    const record = (
      usual: number,
      facts: { stored: number | null; fileBytes: number } | null = null,
    ): Expected => {
      const { status = usual, outcome = 'answered' } = meeting;
      const body = `stored ${facts?.stored ?? '-'} file ${facts?.fileBytes ?? 0}`;
      this.#record(`${key}#${attempt} ${status} ${outcome} ${ruleId ?? '-'} ${body}`);
      return { status, ruleId };
    };
    return { meeting, record };
  }

  #claim({ operation, fileId }: Subject): Armed | null {
    for (const rule of this.rules) {
      const isMeant = rule.fileId === ANY_OF_THEM ? fileId.startsWith('f') : rule.fileId === fileId;
      if (rule.operation !== operation || !isMeant || rule.fired === rule.times) continue;
      rule.matched += 1;
      if (rule.isDrawn && !this.#take('draws')) continue;
      rule.fired += 1;
      return rule;
    }
    return null;
  }

  #record(line: string): void {
    this.exchanges.push({ line: `${line} ${this.#alone.namespace} in time`, at: this.now() });
  }

  /** The next value of those that were learned alone. */
  #take<S extends 'entryIds' | 'ruleIds' | 'draws'>(sequence: S): Alone[S][number] {
    const item = this.#alone[sequence][this.#taken[sequence]++];
    if (item === undefined) throw new Error(`too few ${sequence} were learned`);
    return item;
  }
}

function emptied(things: Map<string, unknown>): number {
  const { size } = things;
  things.clear();
  return size;
}

/** What a worker asks of its namespace, in process. */
function inProcess({ rules, journal, clock, uploads, media, state, ...double }: NamespaceDouble) {
  return {
    /** False: it was refused because the id is armed already. */
    async arm(rule: RuleInput): Promise<boolean> {
      try {
        return rules.add(rule).length === 1;
      } catch (error) {
        if (error instanceof AppError && error.code === 'invalid_rule') return false;
        throw error;
      }
    },
    rules: async () => rules.list(),
    uploads: () => uploads.list(),
    entries: () => media.list(),
    exchanges: async () => journal.find(),
    count: async () => journal.count(),
    wait: (fileId: string, count: number) =>
      journal.wait({ operation: 'getUploadStatus', fileId }, { count }),
    clock: async () => clock.now(),
    async freeze(at: number): Promise<Settled> {
      await clock.freeze();
      return clock.set(new Date(at));
    },
    advance: (ms: number) => clock.advance(ms),
    /** How much that was, if the server says so. */
    async reset(scopes?: readonly ResetScope[]): Promise<Readonly<Record<string, number>> | null> {
      await double.reset(scopes);
      return null;
    },
    unfired: async () => unfiredIn(journal.verify()),
    content: async (fileId: string) =>
      (await uploads.find(fileId)) === null ? null : (await uploads.content(fileId)).toString(),
    entryContent: async (id: string) =>
      (await media.find(id)) === null ? null : (await media.content(id)).toString(),
    /** False: there was none. */
    async remove(fileId: string): Promise<boolean> {
      const isThere = (await uploads.find(fileId)) !== null;
      if (isThere) await uploads.remove(fileId);
      return isThere;
    },
    import: (wanted: Parameters<typeof state.import>[0]) => state.import(wanted),
  };
}

type Face = ReturnType<typeof inProcess>;

/** The same over HTTP, on connections that all workers use in turn. */
function overHttp(url: string, key: string): Face {
  const ask = async (line: string, json?: unknown): Promise<{ status: number; text: string }> => {
    const [method = '', path = ''] = line.split(' ');
    const body = json === undefined ? {} : { body: JSON.stringify(json) };
    const answer = await fetch(`${url}/__admin/${path}`, { method, headers: { 'x-api-key': key }, ...body });
    return { status: answer.status, text: await answer.text() };
  };
  const tell = async <T>(line: string, json?: unknown): Promise<T> =>
    JSON.parse((await ask(line, json)).text) as T;
  const read = async (path: string): Promise<string | null> => {
    const { status, text } = await ask(`GET ${path}`);
    return status === 200 ? text : null;
  };
  const moveClock = async (change: object): Promise<Settled> =>
    (await tell<{ settled: Settled }>('PUT clock', change)).settled;
  return {
    arm: async (rule) => (await ask('POST rules', rule)).status === 201,
    rules: async () => (await tell<{ rules: RuleView[] }>('GET rules')).rules,
    uploads: async () => (await tell<{ uploads: UploadView[] }>('GET uploads')).uploads,
    entries: async () => (await tell<{ media: EntryDetails[] }>('GET media')).media,
    exchanges: async () => (await tell<{ requests: Exchange[] }>('GET requests')).requests,
    count: async () => (await tell<{ count: number }>('POST requests/count', {})).count,
    wait: async (fileId, count) => {
      const wanted = { operation: 'getUploadStatus', fileId, count, timeoutMs: 5_000 };
      return (await tell<{ requests: Exchange[] }>('POST requests/wait', wanted)).requests;
    },
    clock: () => tell('GET clock'),
    freeze: (at) => moveClock({ mode: 'frozen', now: new Date(at).toISOString() }),
    advance: (advanceMs) => moveClock({ advanceMs }),
    reset: async (scope) =>
      (await tell<{ reset: Record<string, number> }>('POST reset', scope && { scope })).reset,
    unfired: async () => unfiredIn(await tell('POST verify', {})),
    content: (fileId) => read(`uploads/${fileId}/content`),
    entryContent: (id) => read(`media/${id}/content`),
    remove: async (fileId) => (await ask(`DELETE uploads/${fileId}`)).status === 200,
    import: (state) => tell('PUT state', state),
  };
}

function unfiredIn(verdict: ReturnType<NamespaceDouble['journal']['verify']>): string[] {
  if (verdict.pass) return [];
  return verdict.failures.flatMap((one) => (one.kind === 'unfiredRule' ? [one.expected.ruleId] : []));
}

interface Body {
  readonly data?: unknown;
}

/** The test process of a client team. It has its own key; of the other keys it knows only what it must not see. */
class Worker {
  readonly model: Model;
  /** The steps that it has not done yet. */
  readonly unplayed: Set<string>;
  readonly #number: number;
  readonly #url: string;
  readonly #key: string;
  readonly #dice: Dice;
  readonly #client: DoubleClient;
  readonly #inProcess: Face;
  readonly #overHttp: Face;
  /** Exchanges that its subscription reported since its journal was last cleared. */
  readonly #heard = new Set<number>();
  /** Namespaces that its subscription reported. */
  readonly #heardOf = new Set<string>();
  #what = '';

  constructor(server: TestDouble, number: number, alone: Alone) {
    this.#number = number;
    this.#url = server.url;
    this.#key = keyOf(number);
    this.#dice = diceOf(SEED + number);
    this.#client = new DoubleClient(server, this.#key);
    this.#inProcess = inProcess(server.namespace(this.#key));
    this.#overHttp = overHttp(server.url, this.#key);
    this.model = new Model(number, alone);
    this.unplayed = new Set(Object.keys(this.#behaviours([])));
    this.#heardOf.add(alone.namespace);
    server.namespace(this.#key).journal.subscribe((event) => {
      this.#heardOf.add(event.namespace);
      if (event.kind === 'exchange') this.#heard.add(event.data.seq);
    });
  }

  async play(test: number, others: readonly Worker[]): Promise<void> {
    const [name, behaviour] = this.#dice.pick(Object.entries(this.#behaviours(others)));
    this.#what = `worker ${this.#number}, test ${test}: ${name}`;
    this.unplayed.delete(name);
    await behaviour();
    await this.#look();
  }

  #behaviours(others: readonly Worker[]): Readonly<Record<string, () => Promise<void>>> {
    const fileId = this.#dice.pick(FILE_IDS);
    return {
      'sends a chunk': () => this.#upload(fileId),
      'breaks a chunk': () => this.#break({ operation: 'uploadChunk', fileId }),
      'breaks a status query': () => this.#break({ operation: 'getUploadStatus', fileId }),
      'breaks a finalise': () => this.#break({ operation: 'createVideo', fileId }),
      'arms for later': () =>
        this.#arm({ operation: this.#dice.pick(['uploadChunk', 'getUploadStatus']), fileId }),
      'breaks by chance': () => this.#breakByChance(),
      'commits late': () => this.#commitLate(),
      finalises: () => this.#finish(fileId),
      'freezes its clock': () => this.#freeze(),
      'advances its clock': () => this.#advance(this.#dice.pick([MINUTE, HOUR, DAY])),
      waits: () => this.#wait(fileId),
      verifies: () => this.#verify(),
      'removes an upload': () => this.#remove(fileId),
      'puts a state in': () => this.#import(fileId),
      'asks for what is another’s': () => this.#trespass(fileId, this.#dice.pick(others)),
      'resets all': () => this.#reset(SCOPES),
      'resets some': () => this.#reset(this.#dice.shuffled(SCOPES).slice(0, this.#dice.between(1, 4))),
    };
  }

  async #upload(fileId: string): Promise<void> {
    await this.#status(fileId);
    const next = this.model.storedOf(fileId);
    const isAgain = next === TOTAL || (next > 0 && this.#dice.chance(0.3));
    await this.#chunk(fileId, isAgain ? this.#dice.between(0, next - 1) : next);
    expect(await this.#face().content(fileId), this.#what).toBe(this.model.contentOf(fileId));
  }

  async #break(subject: Subject): Promise<void> {
    const { operation, fileId } = subject;
    await this.#arm(subject);
    await this.#look();
    if (operation === 'createVideo') await this.#finish(fileId);
    else if (operation === 'getUploadStatus') await this.#status(fileId);
    else await this.#chunk(fileId, Math.min(this.model.storedOf(fileId), TOTAL - 1));
  }

  async #breakByChance(): Promise<void> {
    const status = 560 + this.#number;
    const meeting = { fault: `status@headers:${status}`, status, isStored: false };
    const subject = { operation: 'getUploadStatus', fileId: ANY_OF_THEM } as const;
    await this.#armed({ ...subject, id: 'by-chance', times: DRAWN_TIMES, isDrawn: true, meeting });
    for (const fileId of FILE_IDS) await this.#status(fileId);
  }

  async #commitLate(): Promise<void> {
    const subject = { operation: 'uploadChunk', fileId: 'late' } as const;
    if (this.model.frozenAt === null) await this.#freeze();
    await this.#remove('late');
    await this.#armed({ ...subject, id: 'late', times: 1, isDrawn: false, meeting: LATE });
    await this.#chunk('late', 0);
    await this.#advance(10 * MINUTE - 1);
    await this.#advance(1);
  }

  /** It tries again and again, as an uploader does, until it has an answer. */
  async #finish(fileId: string): Promise<void> {
    for (;;) {
      const upload = this.model.uploads.get(fileId);
      if (upload === undefined || upload.stored < TOTAL) {
        await this.#chunk(fileId, upload?.stored ?? 0);
        continue;
      }
      const sending = this.#ask('POST', '/media/videos', {
        type: 'application/json',
        body: JSON.stringify({ fileId, platforms: ['youtube'] }),
      });
      const { id, ...expected } = this.model.finalize(fileId, upload);
      const { body } = await this.#expect(expected, sending);
      if (expected.status !== 200 && expected.status !== 201) continue;
      expect(body.data, this.#what).toMatchObject({ id });
      return this.#read(id ?? '');
    }
  }

  async #read(id: string): Promise<void> {
    const { fileId } = this.model.entries.get(id) ?? {};
    const told = await this.#ask('GET', `/media/videos/${id}`);
    const status = fileId === undefined ? 404 : 200;
    this.model.read(status);
    expect(told.status, this.#what).toBe(status);
    const content = fileId === undefined ? null : this.model.bytesOf(fileId, 0, TOTAL).toString();
    expect(await this.#face().entryContent(id), this.#what).toBe(content);
  }

  async #freeze(): Promise<void> {
    const at = Date.UTC(2040 + this.#number, this.#dice.between(0, 11));
    expect(await this.#face().freeze(at), this.#what).toEqual(this.model.moveClock(at));
    await this.#look();
  }

  async #advance(ms: number): Promise<void> {
    if (this.model.frozenAt === null) return this.#freeze();
    const at = this.model.frozenAt + ms;
    expect(await this.#face().advance(ms), this.#what).toEqual(this.model.moveClock(at));
    await this.#look();
  }

  /** It waits for one status query more than there were. */
  async #wait(fileId: string): Promise<void> {
    const isOne = ({ line }: { line: string }): boolean => line.startsWith(`getUploadStatus ${fileId}/`);
    const count = this.model.exchanges.filter(isOne).length + 1;
    const [found] = await Promise.all([this.#face().wait(fileId, count), this.#status(fileId)]);
    const lines = found.map((exchange, i) => lineOf(exchange, this.model.exchanges.filter(isOne)[i]?.at));
    expect(lines, this.#what).toEqual(this.model.exchanges.filter(isOne).map(({ line }) => line));
  }

  async #verify(): Promise<void> {
    const unfired = this.model.rules.filter(({ fired }) => fired === 0).map(({ id }) => id);
    expect(await this.#face().unfired(), this.#what).toEqual(unfired);
  }

  async #remove(fileId: string): Promise<void> {
    expect(await this.#face().remove(fileId), this.#what).toBe(this.model.uploads.delete(fileId));
    await this.#look();
  }

  async #import(fileId: string): Promise<void> {
    const bytes = this.model.bytesOf(fileId, 0, 1);
    const chunks = [{ index: 0, bytes: bytes.length, data: bytes.toString('base64') }];
    const state = { uploads: [{ fileId, totalChunks: TOTAL, chunks }] };
    expect(await this.#face().import(state), this.#what).toEqual({ uploads: 1, media: 0 });
    this.model.import(fileId);
    await this.#look();
    await this.#upload(fileId);
  }

  async #trespass(fileId: string, other: Worker): Promise<void> {
    const [entryId = 'none'] = other.model.entries.keys();
    await this.#read(entryId);
    const [seq = 0] = [...other.#heard].slice(-1);
    expect((await this.#client.admin(`GET requests/${seq}`)).status, this.#what).toBe(404);
    expect(await this.#face().content(fileId), this.#what).toBe(this.model.contentOf(fileId));
  }

  async #reset(scopes: readonly ResetScope[]): Promise<void> {
    const expected = this.model.reset(scopes);
    const isAll = scopes.length === SCOPES.length;
    const forgotten = await this.#face().reset(isAll && this.#dice.chance(0.5) ? undefined : scopes);
    if (forgotten !== null) expect(forgotten, this.#what).toEqual(expected);
    if (scopes.includes('journal')) this.#heard.clear();
    await this.#look();
  }

  async #arm(subject: Subject): Promise<void> {
    const meeting = this.#dice.pick(MEETINGS[subject.operation])(this.#number);
    const [id, times] = [this.#dice.pick(RULE_IDS), this.#dice.between(1, 2)];
    await this.#armed({ ...subject, id, times, isDrawn: false, meeting });
  }

  async #armed(rule: Omit<Armed, 'matched' | 'fired'>): Promise<void> {
    const { id, operation, fileId, isDrawn, times, meeting } = rule;
    const isNew = !this.model.rules.some((one) => one.id === id);
    const input: RuleInput = { match: { operation, fileId }, fault: meeting.fault, times };
    const isArmed = await this.#face().arm({
      ...input,
      ...(id === '' ? {} : { id }),
      ...(isDrawn ? { when: { probability: 0.5 } } : {}),
    });
    expect(isArmed, this.#what).toBe(isNew);
    if (isNew) this.model.arm(rule);
  }

  async #chunk(fileId: string, index: number): Promise<void> {
    const bytes = this.model.bytesOf(fileId, index, index + 1);
    const chunk = { fileId, chunkIndex: index, totalChunks: TOTAL, bytes };
    const { contentType: type, body: form } = formOf(this.#dice.pick([chunkParts, fieldsFirst])(chunk));
    const sending = this.#ask('POST', '/media/chunks', { type, body: form });
    const expected = this.model.chunk(fileId, index);
    const { body } = await this.#expect(expected, sending);
    const isLast = index === TOTAL - 1;
    const data = isLast ? { completed: true, fileId } : { completed: false, chunkIndex: index };
    if (expected.status === 200) expect(body.data, this.#what).toEqual(data);
  }

  async #status(fileId: string): Promise<void> {
    const sending = this.#ask('GET', `/media/chunks?fileId=${fileId}`);
    const { currentSize, ...expected } = this.model.status(fileId);
    const { body } = await this.#expect(expected, sending);
    const data = { exists: currentSize > 0, currentSize, fileId };
    if (expected.status === 200) expect(body.data, this.#what).toEqual(data);
  }

  async #expect({ status, ruleId }: Expected, sending: Promise<Told<Body>>): Promise<Told<Body>> {
    const told = await sending;
    const touchedBy = status === 0 ? null : ruleId;
    expect([told.status, told.headers['x-mock-fault'] ?? null], this.#what).toEqual([status, touchedBy]);
    await this.#look();
    return told;
  }

  /** Everything that its namespace shows, and what its subscription reported. */
  async #look(): Promise<void> {
    const { exchanges, uploads, entries } = this.model;
    const face = this.#dice.chance(0.03) ? this.#overHttp : this.#inProcess;
    const { mode, now } = await face.clock();
    const seen = {
      rules: (await face.rules()).map(
        ({ id, fault, matched, fired, remaining }) =>
          `${id} ${String(fault)} ${matched} ${fired} ${remaining}`,
      ),
      uploads: (await face.uploads())
        .map((one) => uploadLine(one, uploads.get(one.fileId)?.touched))
        .toSorted(),
      entries: (await face.entries()).map((one) => entryLine(one, entries.get(one.id)?.created)).toSorted(),
      exchanges: (await face.exchanges()).map((one, i) => lineOf(one, exchanges[i]?.at)),
      count: await face.count(),
      clock: mode === 'frozen' ? `frozen ${now}` : mode,
    };
    expect(seen, this.#what).toEqual(this.model.shown());
    expect([this.#heard.size, this.#heardOf.size], this.#what).toEqual([exchanges.length, 1]);
  }

  #face(): Face {
    return this.#dice.chance(0.3) ? this.#overHttp : this.#inProcess;
  }

  /** On its own connection, or on one of those that all workers use in turn. */
  #ask(method: string, path: string, content?: Content): Promise<Told<Body>> {
    const { type, body } = content ?? {};
    const headers = type === undefined ? {} : { 'content-type': type };
    const sent = body === undefined ? { headers } : { headers, body };
    if (this.#dice.chance(0.5)) return this.#client.ask<Body>(method, path, sent);
    return byFetch(this.#url + path, { method, ...sent, headers: { ...headers, 'x-api-key': this.#key } });
  }
}

interface Content {
  readonly type: string;
  readonly body: Buffer | string;
}

async function byFetch(url: string, init: RequestInit): Promise<Told<Body>> {
  const answer = await fetch(url, init).catch(() => null);
  if (answer === null) return { status: 0, headers: {}, text: '', body: {} };
  const text = await answer.text();
  const { status, headers } = answer;
  return { status, headers: Object.fromEntries(headers), text, body: JSON.parse(text) as Body };
}

function timeOf(seen: string, instant: Instant | undefined, laterMs = 0): string {
  const { at, isExact } = instant ?? { at: Number.NaN, isExact: true };
  return Math.abs(Date.parse(seen) - at - laterMs) <= (isExact ? 0 : MINUTE) ? 'in time' : seen;
}

function uploadLine(upload: UploadView, touched: Instant | undefined): string {
  const { fileId, currentSize, completed, finalizedAs, namespace, expiresAt } = upload;
  return `${fileId} ${currentSize} ${completed} ${finalizedAs} ${namespace} ${timeOf(expiresAt, touched, DAY)}`;
}

function entryLine(entry: EntryDetails, created: Instant | undefined): string {
  const { id, fileId, bytes, status, namespace, createdAt } = entry;
  return `${id} ${fileId} ${bytes} ${status} ${namespace} ${timeOf(createdAt, created)}`;
}

function lineOf(exchange: Exchange, at: Instant | undefined): string {
  const { operation, upload, response, outcome, fault, committed, body, namespace } = exchange;
  const subject = upload === null ? '-' : `${upload.fileId}/${upload.chunkIndex}#${upload.attempt}`;
  const ending = `${response?.status ?? 0} ${outcome} ${fault?.ruleId ?? '-'}`;
  const facts = `stored ${committed?.bytes ?? '-'} file ${body.fileBytes}`;
  return `${operation} ${subject} ${ending} ${facts} ${namespace} ${timeOf(exchange.at, at)}`;
}

function keyOf(worker: number): string {
  return `worker-${worker}`;
}

/** Learns what a key draws and makes up while no other worker is there. Then its namespace is as good as new. */
async function learn(server: TestDouble, key: string): Promise<Alone> {
  const double = server.namespace(key);
  const { rules, state } = double;
  const client = new DoubleClient(server, key);
  const fileIds = Array.from({ length: LEARNED_IDS }, (_, i) => `f${i}`);
  const chunks = [{ index: 0, bytes: 1 }];
  await state.import({ uploads: fileIds.map((fileId) => ({ fileId, totalChunks: 1, chunks })) });
  const entryIds: string[] = [];
  for (const fileId of fileIds) entryIds.push((await client.finalize(fileId)).body.data.id);
  const ruleIds = rules
    .add(fileIds.map(() => ({ match: { fileId: 'none' }, fault: 'close' })))
    .map(({ id }) => id);
  rules.replace({ when: { probability: 0.5 }, fault: 'status@headers:503', times: 'always' });
  const draws: boolean[] = [];
  for (let i = 0; i < LEARNED_DRAWS; i += 1)
    draws.push((await client.ask('GET', '/media/chunks?fileId=f')).status === 503);
  const { namespace } = await state.export();
  await double.reset();
  return { namespace, entryIds, ruleIds, draws };
}

/** A key that is filled once and then left alone. Returns everything that it holds. */
async function bystander(server: TestDouble): Promise<() => Promise<unknown>> {
  const { clock, rules, journal, state } = server.namespace('bystander');
  const client = new DoubleClient(server, 'bystander');
  await clock.freeze();
  for (const index of [0, 1, 2]) await client.chunk({ fileId: 'f1', index, total: TOTAL });
  await client.finalize('f1');
  rules.add({ id: 'one', match: { fileId: 'f2' }, fault: 'reset@post-commit', times: 'always' });
  await client.chunk({ fileId: 'f2', index: 0, total: TOTAL });
  return async () => [clock.now().now, rules.list(), journal.find(), await state.export({ bytes: true })];
}

/** @param tests of each worker: enough for every step to be done by one of them */
export function namespacesSideBySide(tests: number): void {
  it(
    `${WORKERS} workers with a key each run ${tests} random tests side by side and never meet (TEST_SEED=${SEED}) (K2)`,
    { timeout: 300_000 },
    async () => {
      const settings = { seed: 'any', pendingTime: '1h', processingTime: '1h', logLevel: 'warn' } as const;
      const server = createDouble(await openTestServer(settings));
      const atBystander = await bystander(server);
      const before = await atBystander();
      const workers: Worker[] = [];
      for (let n = 0; n < WORKERS; n += 1) workers.push(new Worker(server, n, await learn(server, keyOf(n))));
      const order: Worker[] = [];
      const run = async (worker: Worker): Promise<void> => {
        const others = workers.filter((other) => other !== worker);
        for (let test = 0; test < tests; test += 1) {
          await worker.play(test, others);
          order.push(worker);
        }
      };
      await Promise.all(workers.map(run));

      expect(await atBystander(), 'whom nobody touched').toEqual(before);
      // The workers really ran in parallel: more often than not, the test that ended before was another worker's.
      const switches = order.filter((worker, i) => worker !== order[i - 1]).length;
      expect(switches).toBeGreaterThan((WORKERS * tests) / 2);
      const unplayed = workers.map((worker) => [...worker.unplayed]);
      const [ofOne = [], ...ofOthers] = unplayed;
      expect(ofOne.filter((step) => ofOthers.every((steps) => steps.includes(step)))).toEqual([]);
      // In a sample a worker does too few tests to have done everything.
      if (tests >= ENOUGH_FOR_EACH) expect(unplayed.flat()).toEqual([]);
      const sumOf = (size: (model: Model) => number): number =>
        workers.reduce((sum, { model }) => sum + size(model), 0);
      const { journal, uploads, media } = server.namespace('bystander');
      expect([
        server.journal.count() - journal.count(),
        (await server.uploads.list()).length - (await uploads.list()).length,
        (await server.media.list()).length - (await media.list()).length,
      ]).toEqual([
        sumOf(({ exchanges }) => exchanges.length),
        sumOf((model) => model.uploads.size),
        sumOf(({ entries }) => entries.size),
      ]);
    },
  );
}
