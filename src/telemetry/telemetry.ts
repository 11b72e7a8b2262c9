// telemetry/telemetry.ts: the server's log lines (pino) and metrics (Prometheus).
//
// Promises: one line per request. Keys, tokens and cookies never appear (rule K5). Each server of a process has its own
// registry, so servers do not share metrics.
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { pino, type DestinationStream, type Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { Output } from './output.ts';

const REDACTED_HEADERS = ['authorization', 'x-api-key', 'cookie', 'proxy-authorization', 'set-cookie'];
const CENSOR = '[redacted]';

export interface Log {
  readonly logger: Logger;
  /** Lines dropped so far because they could not be written (rule D7). */
  droppedLines(): number;
  /** Resolves when every line is written, or after `withinMs`. */
  written(withinMs: number): Promise<void>;
}

/**
 * Logs go to stderr, because stdout is for the ready line (§8).
 * @param format turns a line of JSON into the text to write; an empty text is not written
 */
export function openLog(level: Config['logLevel'], format = (line: string): string => line): Log {
  const output = new Output(2, {
    onDropped: (droppedLines) =>
      logger.warn({ droppedLines }, 'log lines were dropped: standard error could not be written'),
  });
  const write = (line: string): void => {
    const text = format(line);
    if (text !== '') output.write(text);
  };
  const logger = createLogger(level, { write });
  return { logger, droppedLines: () => output.dropped, written: (withinMs) => output.written(withinMs) };
}

export function createLogger(level: Config['logLevel'], destination: DestinationStream): Logger {
  return pino({ level, base: null, formatters: { log: withoutSecrets } }, destination);
}

/** Instead of pino's `redact`, which rebuilds every line, although few lines hold headers. */
function withoutSecrets(facts: Record<string, unknown>): Record<string, unknown> {
  let safe = facts;
  for (const key in facts) {
    const value = facts[key];
    if (typeof value !== 'object' || value === null || value instanceof Error) continue;
    if (key === 'headers') safe = { ...safe, headers: censored(value) };
    else if ('headers' in value && typeof value.headers === 'object' && value.headers !== null)
      safe = { ...safe, [key]: { ...value, headers: censored(value.headers) } };
  }
  return safe;
}

function censored(headers: object): object {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      REDACTED_HEADERS.includes(name.toLowerCase()) ? CENSOR : (value as unknown),
    ]),
  );
}

export interface RequestFacts {
  readonly operation: string;
  readonly status: number;
  /** The error code of the answer; empty for a success. */
  readonly code: string;
  readonly seconds: number;
}

/** Numbers that are read only when metrics are asked for. */
export interface Gauges {
  openUploads(): number;
  storedBytes(): Promise<number>;
  entriesByStatus(): Promise<ReadonlyMap<string, number>>;
  droppedLogLines(): number;
}

/** Counts by labels that are known only when requests end. Prometheus gets the sums on demand, which costs less. */
class Tally<Label extends string> {
  readonly #counts = new Map<string, { readonly labels: Record<Label, string>; value: number }>();

  add(labels: Record<Label, string>, key: string, value = 1): void {
    const known = this.#counts.get(key);
    if (known === undefined) this.#counts.set(key, { labels, value });
    else known.value += value;
  }

  fill(counter: Counter): void {
    counter.reset();
    for (const { labels, value } of this.#counts.values()) counter.inc(labels, value);
  }
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #requests = this.#tally('requests_total', 'Requests answered.', ['operation', 'status', 'code']);
  readonly #aborted = this.#counter(
    'requests_aborted_total',
    'Requests whose client left before the answer.',
    ['operation'],
  );
  readonly #bytes = this.#tally('received_bytes_total', 'Bytes of request bodies that were read.', [
    'operation',
  ]);
  readonly #completed = this.#counter('uploads_completed_total', 'Uploads whose last missing chunk came.');
  readonly #expired = this.#counter(
    'uploads_expired_total',
    'Uploads erased because nothing came for too long.',
  );
  readonly #created = this.#counter('entries_created_total', 'Media entries made.', ['type']);
  readonly #chunkSeconds = new Histogram({
    name: 'xenonflare_mock_chunk_seconds',
    help: 'Time from the headers of a chunk request to its answer.',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
    registers: [this.#registry],
  });

  get contentType(): string {
    return this.#registry.contentType;
  }

  requestEnded(facts: RequestFacts): void {
    const { operation, status, code, seconds } = facts;
    this.#requests.add({ operation, status: String(status), code }, `${operation} ${status} ${code}`);
    if (operation === 'uploadChunk') this.#chunkSeconds.observe(seconds);
  }

  requestAborted(operation: string): void {
    this.#aborted.inc({ operation });
  }

  bytesReceived(operation: string, bytes: number): void {
    this.#bytes.add({ operation }, operation, bytes);
  }

  uploadCompleted(): void {
    this.#completed.inc();
  }

  uploadExpired(): void {
    this.#expired.inc();
  }

  entryCreated(type: string): void {
    this.#created.inc({ type });
  }

  observe(gauges: Gauges): void {
    const name = (suffix: string): string => `xenonflare_mock_${suffix}`;
    const registers = [this.#registry];
    const help = 'Uploads begun and neither finalised nor expired, as far as this process has seen them.';
    new Gauge({
      name: name('open_uploads'),
      help,
      registers,
      collect() {
        this.set(gauges.openUploads());
      },
    });
    new Gauge({
      name: name('stored_bytes'),
      help: 'Bytes of uploads, entries and spools in the storage.',
      registers,
      async collect() {
        this.set(await gauges.storedBytes());
      },
    });
    new Gauge({
      name: name('entries'),
      help: 'Media entries by status.',
      labelNames: ['status'],
      registers,
      async collect() {
        this.reset();
        for (const [status, count] of await gauges.entriesByStatus()) this.set({ status }, count);
      },
    });
    new Counter({
      name: name('log_lines_dropped_total'),
      help: 'Lines of the log that were dropped, because standard error could not be written.',
      registers,
      collect() {
        this.reset();
        this.inc(gauges.droppedLogLines());
      },
    });
    new Gauge({
      name: name('process_resident_memory_bytes'),
      help: 'Resident memory of the whole process.',
      registers,
      collect() {
        this.set(process.memoryUsage.rss());
      },
    });
  }

  /** In the text format of Prometheus. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #counter(suffix: string, help: string, labelNames: string[] = []): Counter {
    return new Counter({ name: `xenonflare_mock_${suffix}`, help, labelNames, registers: [this.#registry] });
  }

  #tally<Label extends string>(suffix: string, help: string, labelNames: Label[]): Tally<Label> {
    const tally = new Tally<Label>();
    new Counter({
      name: `xenonflare_mock_${suffix}`,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        tally.fill(this);
      },
    });
    return tally;
  }
}
