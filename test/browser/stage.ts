// stage.ts: the server of one test, a process of its own with a data folder, and one page of the browser that uploads to it.
//
// Promises: tests share nothing: server, folder and the page's connections are new, and are removed after the test. A page that
// logs a script error fails its test.
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterEach, expect } from 'vitest';
import type { Exchange } from '../../src/journal/exchange.ts';
import { startProcess, type ServerProcess } from '../helpers/process.ts';
import { seededBytes } from './seeded-bytes.ts';

export interface SentFile {
  readonly fileId: string;
  readonly seed: number;
  readonly bytes: number;
}

export interface UploadOptions {
  readonly chunkBytes?: number;
  readonly parallel?: number;
  readonly timeoutMs?: number;
}

export interface UploadView {
  readonly currentSize: number;
  readonly receivedBytes: number;
  readonly completed: boolean;
  readonly sha256?: string;
}

/** Of a request of the page's own script. */
export interface Asking {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** A form to post. */
  readonly fields?: Readonly<Record<string, string>>;
}

export interface Seen {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

interface Leaving {
  readonly chunkBytes: number;
  /** That it does not get past. */
  readonly chunkIndex: number;
}

interface UploadPage {
  ask(url: string, asking: Asking): Promise<Seen | null>;
  askWithCredentials(url: string, asking: Asking): Promise<Seen | null>;
  upload(library: string, files: readonly SentFile[], options: object): Promise<string | null>;
}

declare global {
  var uploadPage: UploadPage;
}

const KEY = 'browser';

interface Opening {
  readonly browser: Browser;
  readonly site: string;
  readonly flags?: readonly string[];
}

const opened = new Set<Stage>();

afterEach(async () => {
  const stages = [...opened];
  opened.clear();
  for (const stage of stages) await stage.close();
});

export class Stage {
  readonly page: Page;
  readonly #dataDir: string;
  readonly #flags: readonly string[];
  readonly #scriptErrors: string[] = [];
  #server: ServerProcess;

  private constructor(
    page: Page,
    server: ServerProcess,
    folder: { dataDir: string; flags: readonly string[] },
  ) {
    this.page = page;
    this.#server = server;
    this.#dataDir = folder.dataDir;
    this.#flags = folder.flags;
    page.on('pageerror', ({ message }) => this.#scriptErrors.push(message));
  }

  static async open({ browser, site, flags = [] }: Opening): Promise<Stage> {
    const dataDir = await mkdtemp(join(tmpdir(), 'xenonflare-mock-browser-'));
    const server = await startProcess(['--data-dir', dataDir, ...flags]);
    // A context has connections of its own.
    const page = await (await browser.newContext()).newPage();
    const stage = new Stage(page, server, { dataDir, flags });
    opened.add(stage);
    await page.goto(site);
    await stage.#ready();
    return stage;
  }

  signal(signal: NodeJS.Signals): void {
    this.#server.signal(signal);
  }

  get url(): string {
    return this.#server.url;
  }

  async close(): Promise<void> {
    await this.page.context().close();
    await this.#server.kill();
    await rm(this.#dataDir, { recursive: true, force: true });
    expect(this.#scriptErrors, 'errors of scripts').toEqual([]);
  }

  /** Null when all files are uploaded, otherwise the message of the uploader. */
  upload(library: string, files: readonly SentFile[], options: UploadOptions = {}): Promise<string | null> {
    const all = { url: this.url, apiKey: KEY, ...options };
    return this.page.evaluate(([name, sent, given]) => globalThis.uploadPage.upload(name, sent, given), [
      library,
      files,
      all,
    ] as const);
  }

  /** Leaves the page while the server is kept from storing that chunk; then another visit begins. */
  async leaveInTheMiddle(library: string, file: SentFile, at: Leaving): Promise<void> {
    const id = `leave-${file.fileId}`;
    const match = { fileId: file.fileId, chunkIndex: at.chunkIndex };
    await this.arm({ id, match, fault: 'stall@body:64KiB' });
    // The page goes away, so it cannot report how it ended.
    const left = this.upload(library, [file], { chunkBytes: at.chunkBytes }).catch(() => null);
    await expect.poll(() => this.hasFired(id), { timeout: 20_000 }).toBe(true);
    await this.page.reload();
    await this.#ready();
    await left;
    await this.waitFor({ ruleId: id, outcome: 'client-aborted' });
  }

  /** As when its time is over. */
  async forget(fileId: string): Promise<void> {
    const response = await this.#send(`/uploads/${fileId}`, { method: 'DELETE' });
    expect(response.ok).toBe(true);
  }

  /** Null: the script sees no answer. */
  ask(path: string, asking: Asking = {}): Promise<Seen | null> {
    return this.page.evaluate(
      ([url, given]) => globalThis.uploadPage.ask(url, given),
      this.#asked(path, asking),
    );
  }

  /** The same, by an XMLHttpRequest with the page's cookies. */
  askWithCredentials(path: string, asking: Asking = {}): Promise<Seen | null> {
    return this.page.evaluate(
      ([url, given]) => globalThis.uploadPage.askWithCredentials(url, given),
      this.#asked(path, asking),
    );
  }

  #asked(path: string, { headers, ...asking }: Asking): readonly [string, Asking] {
    return [`${this.url}${path}`, { ...asking, headers: { 'X-API-Key': KEY, ...headers } }];
  }

  async kill(): Promise<void> {
    await this.#server.kill();
  }

  /** On the same folder and port. */
  async killAndStartAgain(): Promise<void> {
    const { port } = this.#server;
    await this.kill();
    this.#server = await startProcess(['--data-dir', this.#dataDir, ...this.#flags, '--port', String(port)]);
  }

  async arm(rule: object): Promise<void> {
    await this.#admin('/rules', rule);
  }

  async hasFired(ruleId: string): Promise<boolean> {
    const { fired } = (await this.#admin(`/rules/${ruleId}`)) as { fired: number };
    return fired > 0;
  }

  /** Those of the chunk route, in their order. */
  async chunkExchanges(): Promise<Exchange[]> {
    const { requests } = (await this.#admin('/requests?operation=uploadChunk')) as { requests: Exchange[] };
    return requests;
  }

  /** Whether every rule fired, and what else is expected. */
  async verify(expectation: object = {}): Promise<void> {
    const verdict = await this.#admin('/verify', expectation);
    expect(verdict, JSON.stringify(verdict)).toMatchObject({ pass: true });
  }

  /** Until an exchange fits. */
  async waitFor(matcher: object): Promise<void> {
    await this.#admin('/requests/wait', { ...matcher, timeoutMs: 20_000 });
  }

  /** Null: none yet. */
  async uploadOf(fileId: string, query = ''): Promise<UploadView | null> {
    const response = await this.#ask(`/uploads/${fileId}${query}`);
    return response.status === 404 ? null : ((await response.json()) as UploadView);
  }

  /** Checks that every byte is stored as it was in the browser. */
  async expectStored({ fileId, seed, bytes }: SentFile): Promise<void> {
    const sha256 = createHash('sha256').update(seededBytes(seed, bytes)).digest('hex');
    const upload = await this.uploadOf(fileId, '?digest=sha256');
    expect(upload).toMatchObject({ completed: true, currentSize: bytes, sha256 });
  }

  async #admin(path: string, body?: object): Promise<unknown> {
    const response = await this.#ask(path, body);
    // 409: a verification that failed also has a verdict.
    if (!response.ok && response.status !== 409) throw new Error(`${path}: ${await response.text()}`);
    return response.json();
  }

  #ask(path: string, body?: object): Promise<Response> {
    return this.#send(path, body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) });
  }

  #send(path: string, init: RequestInit): Promise<Response> {
    const type = init.body === undefined ? {} : { 'Content-Type': 'application/json' };
    return fetch(`${this.#server.adminUrl}${path}`, { headers: { 'X-API-Key': KEY, ...type }, ...init });
  }

  async #ready(): Promise<void> {
    await this.page.waitForFunction('globalThis.uploadPage !== undefined');
  }
}
