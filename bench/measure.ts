// bench/measure.ts: one scenario, measured once: fresh server, warm-up, load, and a look at what was really stored.
//
// Promises: `errors` is 0 only if every answer was the one expected and the server holds exactly the bytes that it
// acknowledged. The warm-up is not counted.
// Must not know: how figures are shown.
import { randomFillSync } from 'node:crypto';
import { ChunkSender } from './chunk-sender.ts';
import { cpuBetween, figuresOf, quantile, readCpu, type Figures } from './figures.ts';
import { runLoad, type Connection, type LoadResult } from './load.ts';
import type { BenchOptions } from './options.ts';
import type { Scenario } from './scenarios.ts';
import { startPeer, startProduct, type BenchServer, type Durability } from './server.ts';
import { storeForStatus } from './status-upload.ts';
import { BENCH_KEY, STATUS_UPLOAD, WIRES } from './wires.ts';

/** `no-journal` is the product, too; the last three are references to compare with, each a file of bench/peers/. */
export type ServerKind = 'product' | 'no-journal' | 'pipe' | 'discard' | 'constant';

interface Limits {
  readonly seconds: number;
  readonly maxBytes: number;
}

/** The connections of one load, and what they were told is stored. */
interface Senders {
  readonly connections: readonly Connection[];
  readonly chunks: readonly ChunkSender[];
}

/** Status queries send no bytes; only time ends them. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER;
const WARM_UP_SHARE = 1 / 8;

const payloads = new Map<number, Buffer>();

/** Random, so that no layer can make it smaller; made once for each size. */
function payloadOf(bytes: number): Buffer {
  const payload = payloads.get(bytes) ?? randomFillSync(Buffer.allocUnsafe(bytes));
  payloads.set(bytes, payload);
  return payload;
}

export async function measure(scenario: Scenario, options: BenchOptions): Promise<Figures> {
  const server = await startServer(scenario.server, options.durability);
  try {
    if (scenario.chunks === null && isProduct(scenario.server)) await storeForStatus(server.url);
    const warmUp = { seconds: options.warmUpSeconds, maxBytes: options.maxBytes * WARM_UP_SHARE };
    await load(scenario, server, { ...warmUp, label: 'warm-up' });
    const cpuBefore = await readCpu(server);
    const { result, problem, unstored } = await load(scenario, server, { ...options, label: 'load' });
    const cpu = cpuBetween(cpuBefore, await readCpu(server));
    const counted = {
      ...result,
      bytesPerRequest: scenario.chunks?.bytes ?? null,
      p50Ms: quantile(result.latencies, 0.5),
      p99Ms: quantile(result.latencies, 0.99),
      errors: result.refused + result.connectionErrors + unstored,
      problem,
    };
    return figuresOf(counted, cpu, await server.peakRssBytes());
  } finally {
    await server.close();
  }
}

function startServer(kind: ServerKind, durability: Durability): Promise<BenchServer> {
  return isProduct(kind) ? startProduct({ durability, hasJournal: kind === 'product' }) : startPeer(kind);
}

function isProduct(kind: ServerKind): kind is 'product' | 'no-journal' {
  return kind === 'product' || kind === 'no-journal';
}

async function load(
  scenario: Scenario,
  server: BenchServer,
  limits: Limits & { readonly label: string },
): Promise<{ result: LoadResult; problem: string | null; unstored: number }> {
  const { connections, chunks } = sendersOf(scenario, server.url, limits.label);
  const result = await runLoad({
    url: server.url,
    connections,
    seconds: limits.seconds,
    maxRequests: scenario.chunks === null ? NO_LIMIT : Math.ceil(limits.maxBytes / scenario.chunks.bytes),
  });
  const wrong = isProduct(scenario.server) ? await unstoredAmong(chunks, server.url) : [];
  const problem = result.firstRefusal ?? wrong[0] ?? null;
  return { result, problem, unstored: wrong.length };
}

function sendersOf({ chunks, connections }: Scenario, url: string, label: string): Senders {
  if (chunks === null)
    return { connections: Array.from({ length: connections }, statusConnection), chunks: [] };
  const senders = Array.from(
    { length: connections },
    (_, number) =>
      new ChunkSender({
        host: new URL(url).host,
        fileId: `${label}-${number}`,
        wire: chunks.wire,
        payload: payloadOf(chunks.bytes),
      }),
  );
  return { chunks: senders, connections: senders.map(chunkConnection) };
}

function chunkConnection(sender: ChunkSender): Connection {
  return {
    request: { method: 'POST', path: '/media/chunks' },
    next: () => sender.next(),
    accept: (status, body) => sender.accept(status, body),
  };
}

function statusConnection(): Connection {
  const place = { fileId: STATUS_UPLOAD.fileId, location: '', index: 0, bytes: 0, totalChunks: 0 };
  return {
    request: {
      method: 'GET',
      path: `/media/chunks?fileId=${STATUS_UPLOAD.fileId}`,
      headers: { 'X-API-Key': BENCH_KEY },
    },
    accept: (status, body) => WIRES.status.isStored({ status, head: '', body }, place),
  };
}

/** A sentence for each upload of which the server does not have exactly the acknowledged bytes. */
async function unstoredAmong(senders: readonly ChunkSender[], url: string): Promise<string[]> {
  const sentences: string[] = [];
  for (const { fileId, acknowledgedBytes } of senders) {
    const response = await fetch(`${url}/media/chunks?fileId=${fileId}`, {
      headers: { 'X-API-Key': BENCH_KEY },
    });
    const { data } = (await response.json()) as { data: { currentSize: number } };
    if (data.currentSize !== acknowledgedBytes)
      sentences.push(`${fileId}: ${acknowledgedBytes} bytes acknowledged, ${data.currentSize} stored`);
  }
  return sentences;
}
