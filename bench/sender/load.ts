// bench/sender/load.ts: runs one load. Each sender has its own upload and sends chunk after chunk.
//
// Promises: every begun request is answered before the load ends, so that the server's CPU time belongs to the counted requests.
// The first unexpected answer ends the load. No chunk is sent twice.
import { quantile } from '../figures.ts';
import { Connection } from './connection.ts';
import type { Payloads } from './payloads.ts';
import type { Job, JobResult } from './job.ts';
import { headerOf, WIRES, type Answer, type ChunkPlace, type Wire } from '../wires.ts';

const NOTHING = Buffer.alloc(0);

export class LeanLoad {
  readonly #job: Job;
  readonly #wire: Wire;
  readonly #payloads: Payloads;
  readonly #latencies: number[] = [];
  #startedAt = 0;
  #endedAt = 0;
  #begun = 0;
  #lastMs = Number.NaN;
  #refused = 0;
  #firstRefusal: string | null = null;

  constructor(job: Job, payloads: Payloads) {
    this.#job = job;
    this.#wire = WIRES[job.wire];
    this.#payloads = payloads;
  }

  async run(): Promise<JobResult> {
    const connections = await Promise.all(
      Array.from({ length: this.#job.connections }, () => Connection.open(this.#job.url)),
    );
    try {
      const senders = connections.map((connection, n) => new Sender(connection, `${this.#job.label}-${n}`));
      for (const sender of senders) await this.#begin(sender);
      const cpu = process.cpuUsage();
      this.#startedAt = performance.now();
      await Promise.all(senders.map((sender) => this.#drive(sender)));
      this.#endedAt = performance.now();
      const { user, system } = process.cpuUsage(cpu);
      return this.#result((user + system) / 1e6, senders[0]);
    } finally {
      for (const connection of connections) connection.close();
    }
  }

  /** Resolves when the sender's upload can receive chunks. */
  #begin(sender: Sender): Promise<void> {
    const { chunkBytes, totalChunks, firstIndex, url } = this.#job;
    sender.place = { fileId: sender.fileId, location: '', index: firstIndex, bytes: chunkBytes, totalChunks };
    const head = this.#wire.create?.(sender.place, new URL(url).host);
    if (head === undefined) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const created = (answer: Answer): void => {
        const location = headerOf(answer, 'location');
        if (answer.status !== 201 || location === undefined)
          return reject(new Error(`creating an upload was answered with ${refusalOf(answer)}`));
        sender.place = { ...sender.place, location };
        resolve();
      };
      sender.connection.send({ head, payload: NOTHING, tail: '' }, created, reject);
    });
  }

  /** Resolves when this sender has nothing more to send and no answer to wait for. */
  #drive(sender: Sender): Promise<void> {
    const { host } = new URL(this.#job.url);
    const isQuery = this.#job.wire === 'status';
    return new Promise((resolve) => {
      const next = (): void => {
        if (this.#isOver(sender)) return resolve();
        this.#begun += 1;
        const { place } = sender;
        const payload = isQuery ? NOTHING : this.#payloads.chunk(place.index);
        const sentAt = performance.now();
        sender.connection.send(
          { ...this.#wire.chunk(place, host), payload },
          (answer) => {
            this.#lastMs = performance.now() - sentAt;
            if (!this.#wire.isStored(answer, place)) {
              this.#refuse(`${refusalOf(answer)} to chunk ${place.index}`);
              return resolve();
            }
            this.#latencies.push(this.#lastMs);
            sender.stored(this.#job);
            next();
          },
          (error) => {
            this.#refuse(error.message);
            resolve();
          },
        );
      };
      next();
    });
  }

  #refuse(what: string): void {
    this.#refused += 1;
    this.#firstRefusal ??= what;
  }

  #isOver({ place }: Sender): boolean {
    const { seconds, maxRequests, totalChunks, wire } = this.#job;
    if (this.#refused > 0 || this.#begun >= maxRequests) return true;
    if (wire !== 'status' && place.index >= totalChunks) return true;
    return performance.now() - this.#startedAt >= seconds * 1000;
  }

  #result(clientCpuSeconds: number, first: Sender | undefined): JobResult {
    const ascending = this.#latencies.toSorted((a, b) => a - b);
    return {
      requests: ascending.length,
      seconds: (this.#endedAt - this.#startedAt) / 1000,
      p50Ms: quantile(ascending, 0.5),
      p99Ms: quantile(ascending, 0.99),
      lastMs: this.#lastMs,
      clientCpuSeconds,
      refused: this.#refused,
      firstRefusal: this.#firstRefusal,
      sent: this.#job.digest && first !== undefined ? this.#sentBy(first) : null,
    };
  }

  #sentBy({ place: { fileId, location, index: chunks, bytes } }: Sender): JobResult['sent'] {
    return { fileId, location, chunks, bytes: chunks * bytes, sha256: this.#payloads.sha256(chunks) };
  }
}

function refusalOf({ status, body }: Answer): string {
  return `${status} ${body.slice(0, 300)}`;
}

class Sender {
  readonly connection: Connection;
  readonly fileId: string;
  /** The chunk to send next. */
  place: ChunkPlace = { fileId: '', location: '', index: 0, bytes: 0, totalChunks: 0 };
  #uploads = 0;

  constructor(connection: Connection, fileId: string) {
    this.connection = connection;
    this.fileId = fileId;
  }

  stored({ chunksPerUpload }: Job): void {
    const index = this.place.index + 1;
    if (index !== chunksPerUpload) {
      this.place = { ...this.place, index };
      return;
    }
    this.#uploads += 1;
    this.place = { ...this.place, fileId: `${this.fileId}.${this.#uploads}`, index: 0 };
  }
}
