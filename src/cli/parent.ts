// cli/parent.ts: with `--restart-after` the server is a child of this process, and is started again when it is killed.
//
// Promises: to whoever started it, this process is the server: one ready line, on its own stdout, with its own pid; the signals
// it gets reach the child; it ends when the child ends by itself, with the child's code. Only SIGKILL, which no server
// can answer, is followed by another start: on the port of the first one, also where that was any free one.
// Must not know: what the server does.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import type { Log } from '../telemetry.ts';
import { startTimer, type Timer } from '../timers.ts';
import { PARENT } from './arguments.ts';
import { SIGNALS } from './ending.ts';
import { announce, logOf, type Resolved, type Where } from './serve.ts';

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Ends the process. Never resolves before. */
export async function holdServer({ config }: Pick<Resolved, 'config'>): Promise<void> {
  const { restartAfter = 0 } = config;
  const holder = new Holder(logOf(config), restartAfter, (where) => announce(config, where));
  process.exit(await holder.run());
}

class Holder {
  readonly #log: Log;
  readonly #restartAfterMs: number;
  readonly #onFirstReady: (where: Where) => void;
  #child: ChildProcess | null = null;
  #where: Where | null = null;
  #isTold = false;
  /** Ends the pause before a start. */
  #wake: () => void = () => undefined;

  constructor(log: Log, restartAfterMs: number, onFirstReady: (where: Where) => void) {
    this.#log = log;
    this.#restartAfterMs = restartAfterMs;
    this.#onFirstReady = onFirstReady;
    for (const signal of SIGNALS) process.on(signal, () => this.#told(signal));
  }

  /** Resolves to the code to end with. */
  async run(): Promise<number> {
    for (;;) {
      const exit = await this.#runChild();
      if (this.#isTold || exit.signal !== 'SIGKILL') return codeOf(exit);
      const { logger } = this.#log;
      logger.warn({ restartAfterMs: this.#restartAfterMs }, 'the server was killed and is started again');
      await this.#pause();
      if (this.#isTold) return 0;
    }
  }

  async #runChild(): Promise<Exit> {
    // A process group of its own: what a terminal says to all of its processes, Ctrl-C, would come twice, and twice is "at once".
    const child = spawn(process.execPath, [...process.execArgv, ...argumentsOf(this.#where)], {
      env: { ...process.env, [PARENT]: String(process.pid) },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      detached: true,
    });
    this.#child = child;
    child.on('message', (where) => this.#ready(where as Where));
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    this.#child = null;
    return { code, signal };
  }

  #ready(where: Where): void {
    if (this.#where !== null) return this.#log.logger.info({ url: where.url }, 'the server is there again');
    this.#where = where;
    this.#onFirstReady(where);
  }

  #told(signal: NodeJS.Signals): void {
    this.#isTold = true;
    this.#wake();
    this.#child?.kill(signal);
  }

  #pause(): Promise<void> {
    if (this.#isTold) return Promise.resolve();
    return new Promise((resolve) => {
      const timer: Timer = startTimer(this.#restartAfterMs, resolve);
      this.#wake = () => {
        timer.stop();
        resolve();
      };
    });
  }
}

/** Those of this process, and the ports that were taken: of a flag given twice the last one counts. */
function argumentsOf(where: Where | null): string[] {
  const given = process.argv.slice(1);
  if (where === null) return given;
  const { url, adminUrl } = where;
  const port = new URL(url).port || '80';
  const isAdminElsewhere = adminUrl !== null && new URL(adminUrl).host !== new URL(url).host;
  const admin = isAdminElsewhere ? ['--admin-port', new URL(adminUrl).port] : [];
  return [...given, '--port', port, ...admin];
}

/** As a shell has it: of a signal, 128 and its number. */
function codeOf({ code, signal }: Exit): number {
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}
