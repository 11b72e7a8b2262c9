// bench/load.ts: drives a server with autocannon until the time is over or enough was sent, whichever is first.
//
// Promises: every request that was begun is answered before the load ends, so that the server's CPU time belongs to the
// requests counted; time runs from the first request to the last answer.
// Autocannon builds each request by copying its body; with 8 MiB bodies that costs more than sending them. So a chunk's
// request is handed to the socket in three pieces, in place of autocannon's own buffer.
// Must not know: what the requests mean.
import autocannon, { type Client, type Request, type Result } from 'autocannon';

/** What one connection sends. */
export interface Connection {
  /** Sent again and again as it is, unless there is a `next`. */
  readonly request: Omit<Request, 'onResponse'>;
  readonly next?: () => readonly [head: Buffer, payload: Buffer, tail: Buffer];
  /** Whether the answer is the one expected. */
  readonly accept: (status: number, body: string) => boolean;
}

export interface LoadPlan {
  readonly url: string;
  readonly connections: readonly Connection[];
  readonly seconds: number;
  readonly maxRequests: number;
}

export interface LoadResult {
  /** Answered as expected. */
  readonly requests: number;
  readonly seconds: number;
  /** Milliseconds, of every answer, ascending. */
  readonly latencies: readonly number[];
  readonly non2xx: number;
  readonly connectionErrors: number;
  /** The first answer that was not the one expected. */
  readonly firstRefusal: string | null;
  /** Answers not as expected, the non-2xx among them. */
  readonly refused: number;
  /** User and system seconds of this process. */
  readonly clientCpuSeconds: number;
}

type Answer = [client: Client, status: number, bytes: number, milliseconds: number];

const TIMEOUT_SECONDS = 60;
const SAMPLE_MS = 50;
/** With a gap, every later chunk of that connection is refused, too: no use in going on. */
const MAX_REFUSED = 100;

export async function runLoad(plan: LoadPlan): Promise<LoadResult> {
  const load = new Load(plan);
  const cpu = process.cpuUsage();
  const result = await load.run();
  const { user, system } = process.cpuUsage(cpu);
  return { ...load.figures(), ...failuresIn(result), clientCpuSeconds: (user + system) / 1e6 };
}

function failuresIn({ errors, timeouts, non2xx }: Result): { connectionErrors: number; non2xx: number } {
  return { connectionErrors: errors + timeouts, non2xx };
}

class Load {
  readonly #plan: LoadPlan;
  readonly #latencies: number[] = [];
  readonly #startedAt = performance.now();
  #lastAnswerAt = this.#startedAt;
  #clients = 0;
  #begun = 0;
  #requests = 0;
  #refused = 0;
  #firstRefusal: string | null = null;

  constructor(plan: LoadPlan) {
    this.#plan = plan;
  }

  run(): Promise<Result> {
    const { url, connections, seconds } = this.#plan;
    return new Promise((resolve, reject) => {
      const options = {
        url,
        connections: connections.length,
        // Longer than needed: the clients end by themselves, without leaving requests unanswered.
        duration: seconds + TIMEOUT_SECONDS,
        timeout: TIMEOUT_SECONDS,
        sampleInt: SAMPLE_MS,
        setupClient: (client: Client) => this.#prepare(client),
      };
      const tracker = autocannon(options, (error, result) =>
        error === null ? resolve(result) : reject(error),
      );
      tracker.on('response', (...answer: Answer) => {
        const [client, , , milliseconds] = answer;
        this.#latencies.push(milliseconds);
        this.#lastAnswerAt = performance.now();
        if (this.#isOver()) client.responseMax = 1;
        else this.#begun += 1;
      });
    });
  }

  figures(): Pick<LoadResult, 'requests' | 'seconds' | 'latencies' | 'refused' | 'firstRefusal'> {
    return {
      requests: this.#requests,
      seconds: (this.#lastAnswerAt - this.#startedAt) / 1000,
      latencies: this.#latencies.toSorted((a, b) => a - b),
      refused: this.#refused,
      firstRefusal: this.#firstRefusal,
    };
  }

  #isOver(): boolean {
    const { seconds, maxRequests } = this.#plan;
    const isLate = performance.now() - this.#startedAt >= seconds * 1000;
    return isLate || this.#begun >= maxRequests || this.#refused >= MAX_REFUSED;
  }

  #prepare(client: Client): void {
    const connection = this.#plan.connections[this.#clients];
    if (connection === undefined) throw new Error('autocannon opened more connections than it was asked for');
    this.#clients += 1;
    this.#begun += 1;
    client.setRequests([
      { ...connection.request, onResponse: (status, body) => this.#judge(connection, status, body) },
    ]);
    const { next } = connection;
    if (next === undefined) return;
    if (typeof client.getRequestBuffer !== 'function')
      throw new Error('this autocannon builds its requests in another way; see bench/load.ts');
    client.getRequestBuffer = () => {
      const [head, payload, tail] = next();
      const socket = client.conn;
      socket.cork();
      socket.write(head);
      socket.write(payload);
      process.nextTick(() => socket.uncork()); // Autocannon writes what is returned in this same turn.
      return tail;
    };
  }

  #judge(connection: Connection, status: number, body: string): void {
    if (connection.accept(status, body)) {
      this.#requests += 1;
    } else {
      this.#refused += 1;
      this.#firstRefusal ??= `${status} ${body.slice(0, 300)}`;
    }
  }
}
