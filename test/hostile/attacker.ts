// hostile/attacker.ts: plays cases against a server, several at a time, while a neighbour sends good requests.
//
// Promises: if a case leaves a connection open, the next case uses it. Bytes that are left in it would spoil the first answer of
// that case.
// Must not know: what a case is about.
import { setTimeout as delay } from 'node:timers/promises';
import { openConnection, requestBytes, type RawAnswer, type RawConnection } from '../helpers/raw.ts';
import type { HostileCase, Sent, Step } from './hostile-case.ts';
import type { Outcome } from './verdict.ts';

export class Attacker {
  readonly #port: number;
  #line: RawConnection | null = null;
  #neighbour: RawConnection | null = null;
  #asked = 0;

  constructor(port: number) {
    this.#port = port;
  }

  async play(hostile: HostileCase): Promise<Outcome> {
    const line = this.#line ?? (await openConnection(this.#port));
    this.#line = null;
    for (const step of hostile.steps) await take(step, line);
    if (hostile.ending === 'reset') {
      line.reset();
      return { answers: [], leftOver: '', hasEnded: true, isStuck: false };
    }
    if (hostile.ending === 'half-close') line.halfClose();
    const { answers, isStuck } = await answersOn(line, hostile);
    const isLast = answers.at(-1)?.headers['connection'] === 'close';
    const outcome = { answers, isStuck, hasEnded: line.isClosed, leftOver: line.leftOver };
    if (line.isClosed || isStuck || isLast || hostile.ending === 'leave') line.destroy();
    else this.#line = line;
    return outcome;
  }

  /** What is wrong with a good exchange on another connection; null: nothing. */
  async askNeighbour(): Promise<string | null> {
    this.#neighbour ??= await openConnection(this.#port);
    return this.#ask(this.#neighbour, 'neighbour');
  }

  /** The same on the connection that the last case left open, if it left one. */
  async askBehind(): Promise<string | null> {
    return this.#line === null ? null : this.#ask(this.#line, 'next');
  }

  leave(): void {
    this.#line?.destroy();
    this.#neighbour?.destroy();
    this.#line = null;
    this.#neighbour = null;
  }

  async #ask(line: RawConnection, who: string): Promise<string | null> {
    const id = `${who}-${(this.#asked += 1)}`;
    await line.write(requestBytes(`GET /media/chunks?fileId=${who}`, { 'x-request-id': id }));
    const answer = await line.answer().catch(String);
    const isOwn =
      typeof answer === 'object' &&
      answer?.status === 200 &&
      answer.headers['x-request-id'] === id &&
      answer.text === `{"success":true,"data":{"exists":false,"currentSize":0,"fileId":"${who}"}}` &&
      line.leftOver === '';
    return isOwn
      ? null
      : `${id} got ${JSON.stringify(answer)}, left over: ${JSON.stringify(line.leftOver.slice(0, 200))}`;
  }
}

async function take(step: Step, line: RawConnection): Promise<void> {
  if (Buffer.isBuffer(step)) await line.write(step);
  else if (step.pauseMs > 0) await delay(step.pauseMs);
  else await new Promise((resolve) => setImmediate(resolve)); // What comes next gets its own packet.
}

/** Waits until every expected answer has come, an answer says that it is the last, or the server ends the connection. */
async function answersOn(
  line: RawConnection,
  { requests, ending }: HostileCase,
): Promise<{ answers: RawAnswer[]; isStuck: boolean }> {
  const answers: RawAnswer[] = [];
  const mustEnd = ending === 'half-close' || requests.some(({ fate }) => fate === 'refused');
  const due = requests.filter(({ fate }: Sent) => fate !== 'never').length;
  while (mustEnd || answers.length < due) {
    let answer: RawAnswer | null;
    try {
      answer = await line.answer({ isHead: requests[answers.length]?.method === 'HEAD' });
    } catch {
      return { answers, isStuck: true };
    }
    if (answer === null) break;
    if (answer.status < 200) continue;
    answers.push(answer);
    // The server may continue to read for a while so that its answer arrives (http/connection/linger.ts).
    if (answer.headers['connection'] === 'close' && answer.headers['x-request-id'] !== undefined) break;
  }
  return { answers, isStuck: false };
}
