// bench/sender/client.ts: controls the sender's process for the bench.
//
// Promises: one process sends all loads of a bench to every compared server.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Job, JobResult } from './job.ts';

const SENDER = fileURLToPath(new URL('./process.js', import.meta.url));

type Reply = { readonly result: JobResult } | { readonly error: string };

export class Client {
  readonly #child: ChildProcess = fork(SENDER);
  readonly #gone = once(this.#child, 'exit');

  /** The caller must wait for each job before the next. @throws Error when the load could not begin */
  async run(job: Job): Promise<JobResult> {
    const gone = this.#gone.then(() => ({ error: 'the sender ended' }));
    const came = once(this.#child, 'message').then(([reply]) => reply as Reply);
    this.#child.send(job);
    const reply = await Promise.race([came, gone]);
    if ('error' in reply) throw new Error(`${job.wire} to ${job.url}: ${reply.error}`);
    return reply.result;
  }

  async close(): Promise<void> {
    this.#child.disconnect();
    await this.#gone;
  }
}
