// http/connection/head-time.ts: limits the time that a client has for its request headers, counting only time in which this
// process ran.
//
// Node measures this limit by the machine's clock. After a stop (SIGSTOP, a suspended machine) Node declares the time over at
// once, although the rest of a head may be on its way. Node then forgets the connection, so this class must end it.
//
// Promises: a client gets extra time equal to the time for which this process was stopped, but never more than one full limit.
// Must not know: what the refusal says.
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { awakeMs, keepAwakeTime, startTimeout } from '../../core/awake.ts';
import { monotonicMs } from '../../core/machine-time.ts';
import type { Timer } from '../../core/timers.ts';

/** Two readings of the clock differ by up to this much without any stop of the process. */
const LEAST_MS = 1;

interface Waiting {
  /** How long this process had been stopped when the connection began or when its last head was complete. */
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

  /**
   * To be called when Node says that the time is over. Calls back at once if it is. If this process was stopped, calls back
   * later, or never when the head arrives in time.
   */
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

/** Milliseconds for which this process was stopped, counted from a fixed instant. */
function asleepMs(): number {
  return monotonicMs() - awakeMs();
}
