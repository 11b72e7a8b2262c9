// cli/parent.ts: with `--restart-after`, runs the server as a child process and starts it again after it was killed.
//
// Promises: for the program that started it, this process looks like the server. It prints one ready line with its own pid to
// its own stdout, and it passes signals on to the child. When the child ends by itself, this process ends with the child's
// code. Only SIGKILL, which a server cannot handle, leads to a new start. The new server gets the port of the first one, even
// if that was any free port.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import type { Log } from '../telemetry/telemetry.ts';
import { startTimer, type Timer } from '../core/timers.ts';
import { PARENT } from './arguments.ts';
import { SIGNALS } from './ending.ts';
import { announce, logOf, type Resolved, type Where } from './serve.ts';

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Ends the process; never resolves. */
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

  /** Resolves to the exit code. */
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
    // Own process group: otherwise Ctrl-C would reach the child twice, from the terminal and from here: "end at once".
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

/** The arguments of this process and the ports in use. The last value of a repeated flag counts, so the ports come last. */
function argumentsOf(where: Where | null): string[] {
  const given = process.argv.slice(1);
  if (where === null) return given;
  const { url, adminUrl } = where;
  const port = new URL(url).port || '80';
  const isAdminElsewhere = adminUrl !== null && new URL(adminUrl).host !== new URL(url).host;
  const admin = isAdminElsewhere ? ['--admin-port', new URL(adminUrl).port] : [];
  return [...given, '--port', port, ...admin];
}

/** As in a shell: the code after a signal is 128 plus the signal's number. */
function codeOf({ code, signal }: Exit): number {
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}
