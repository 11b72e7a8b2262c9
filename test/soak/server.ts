// soak/server.ts: a server under test: a process on a data folder that outlives it. It can be ended and started again.
//
// Promises: no variable of this process's environment configures it. It has its own process group, so that Ctrl-C reaches only this
// process. These are problems: a process that ends without being told to, a process that does not end when told, and every line
// that it logs as an error. No client is let in between a restart and the end of the audit after it.
// Must not know: what clients do.
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { deferred } from './deferred.ts';
import type { Record } from './record.ts';

export type EndSignal = 'SIGKILL' | 'SIGTERM';
type Child = ChildProcessByStdio<null, Readable, Readable>;

export interface ServerSpec {
  readonly name: string;
  /** The file that Node runs, and its arguments. */
  readonly argv: readonly string[];
  readonly record: Record;
}

/** One process. */
export interface Life {
  readonly pid: number;
  readonly url: string;
  readonly adminUrl: string;
  /** Counts the processes of this server from 1. */
  readonly number: number;
}

const START_PATIENCE_MS = 30_000;
const END_PATIENCE_MS = 30_000;
const WARN_LEVEL = 40;

const running = new Set<Child>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class SoakServer {
  readonly #spec: ServerSpec;
  #child: Child | null = null;
  #life: Life | null = null;
  #lives = 0;
  #isEnding = false;
  /** Resolves when clients may come in. */
  #open = deferred<Life>();
  #onDeath: () => void = () => undefined;
  readonly ends: Partial<{ [how: string]: number }> = {};

  constructor(spec: ServerSpec) {
    this.#spec = spec;
  }

  get name(): string {
    return this.#spec.name;
  }

  get life(): Life | null {
    return this.#life;
  }

  /** It has been told to end, or it has ended and is not open again. */
  get isClosed(): boolean {
    return this.#isEnding || this.#life === null;
  }

  whenOpen(): Promise<Life> {
    return this.#open.promise;
  }

  /** Starts a process, but lets no client in yet. @throws Error when it does not become ready */
  async start(): Promise<Life> {
    const inherited = Object.entries(process.env).filter(
      ([name]) => !/^(XENONFLARE_MOCK_|NODE_OPTIONS$)/.test(name),
    );
    const child = spawn(process.execPath, [...this.#spec.argv], {
      env: { ...Object.fromEntries(inherited), NODE_ENV: 'production' },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    running.add(child);
    this.#child = child;
    createInterface({ input: child.stderr }).on('line', (line) => this.#logged(line));
    child.once('exit', (code, signal) => this.#exited(child, code, signal));
    const line = await Promise.race([
      once(createInterface({ input: child.stdout }), 'line').then(([first]) => String(first)),
      once(child, 'exit').then(() => null),
      after(START_PATIENCE_MS),
    ]);
    if (line === null) throw new Error(`server ${this.name} did not start`);
    const { url, adminUrl, pid } = JSON.parse(line) as Life;
    this.#lives += 1;
    this.#isEnding = false;
    this.#life = { url, adminUrl, pid, number: this.#lives };
    return this.#life;
  }

  /** @param listener is called when a process ends without having been told to */
  onDeath(listener: () => void): void {
    this.#onDeath = listener;
  }

  /** Lets clients in. */
  open(): void {
    if (this.#life !== null) this.#open.resolve(this.#life);
  }

  /** Resolves when the process is gone. */
  async end(signal: EndSignal): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    this.#isEnding = true;
    this.#open = deferred();
    this.ends[signal] = (this.ends[signal] ?? 0) + 1;
    const gone = once(child, 'exit').then(() => true);
    child.kill(signal);
    if ((await Promise.race([gone, after(END_PATIENCE_MS)])) === true) return;
    this.#spec.record.problem(
      `server ${this.name} did not end within ${END_PATIENCE_MS / 1000} s of ${signal}`,
    );
    child.kill('SIGKILL');
    await gone;
  }

  #exited(child: Child, code: number | null, signal: NodeJS.Signals | null): void {
    running.delete(child);
    if (child === this.#child) this.#life = null;
    const how = signal ?? `exit code ${code}`;
    if (!this.#isEnding) {
      this.#open = deferred();
      this.#spec.record.problem(`server ${this.name} died by itself: ${how}`);
      this.#onDeath();
    } else if (signal !== 'SIGKILL' && code !== 0)
      this.#spec.record.problem(`server ${this.name}, told to end, ended with ${how}`);
  }

  #logged(line: string): void {
    const level = /^\{"level":(\d+)/.exec(line)?.[1];
    if (line.includes('an upload was repaired')) this.#spec.record.counts.repairs += 1;
    else if (level === undefined || Number(level) > WARN_LEVEL)
      this.#spec.record.problem(`server ${this.name} logged: ${line.slice(0, 600)}`);
  }
}

async function after(ms: number): Promise<null> {
  const { promise, resolve } = deferred<null>();
  setTimeout(() => resolve(null), ms).unref();
  return promise;
}
