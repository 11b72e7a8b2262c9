// http/head-time.ts: the time that a client has for its headers, in which this process was awake and could have read them.
//
// Node counts it by the machine's time. After a stop (SIGSTOP, a suspended machine) it is over at once, though the rest of a head may be
// on its way, and Node takes the connection from its list: from then on nobody but this looks after it.
//
// Promises: who was not heard for `ms` of our absence has as much more, but no more than the whole time once again.
// Must not know: what is said to whom is too late.
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { awakeMs, keepAwakeTime, startTimeout } from '../awake.ts';
import { monotonicMs } from '../machine-time.ts';
import type { Timer } from '../timers.ts';

/** Less is what two looks at the clock differ by. */
const LEAST_MS = 1;

interface Waiting {
  /** Of this process, when the connection began, or its last head had come. */
  asleepMs: number;
  grace: Timer | null;
}

export class HeadTimes {
  readonly #headerTimeoutMs: number;
  readonly #waiting = new WeakMap<Socket, Waiting>();

  constructor(server: Server, headerTimeoutMs: number) {
    this.#headerTimeoutMs = headerTimeoutMs;
    server.on('connection', (socket: Socket) => this.#begin(socket));
    server.on('request', ({ socket }) => this.#end(socket));
  }

  /** Node says that it is over. Calls back at once when it is, and later, or never, when this process was asleep. */
  whenOver(socket: Socket, then: () => void): void {
    const waiting = this.#waiting.get(socket);
    const missedMs = waiting === undefined ? 0 : asleepMs() - waiting.asleepMs;
    if (waiting === undefined || missedMs < LEAST_MS) return then();
    waiting.grace ??= startTimeout(Math.min(missedMs, this.#headerTimeoutMs), then);
  }

  #begin(socket: Socket): void {
    const endAwakeTime = keepAwakeTime();
    this.#waiting.set(socket, { asleepMs: asleepMs(), grace: null });
    socket.once('close', () => {
      this.#end(socket);
      endAwakeTime();
    });
  }

  #end(socket: Socket): void {
    const waiting = this.#waiting.get(socket);
    if (waiting === undefined) return;
    waiting.grace?.stop();
    Object.assign(waiting, { asleepMs: asleepMs(), grace: null });
  }
}

/** Since some instant. */
function asleepMs(): number {
  return monotonicMs() - awakeMs();
}
