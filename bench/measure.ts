// bench/measure.ts: one scenario, measured once: fresh server, warm-up, load, and a look at what was really stored.
//
// Promises: `errors` is 0 only if every answer was the one expected and the server holds exactly the bytes that it
// acknowledged. The warm-up is not counted.
// Must not know: how figures are shown.
import { randomFillSync } from 'node:crypto';
import { cpus } from 'node:os';
import { BENCH_KEY, ChunkSender } from './chunk-sender.ts';
import { runLoad, type Connection, type LoadResult } from './load.ts';
import type { BenchOptions } from './options.ts';
import { machineBusySeconds } from './proc.ts';
import type { Scenario } from './scenarios.ts';
import { startServer, type BenchServer } from './server.ts';

/** Null: does not apply to the scenario, or cannot be known on this system. */
export interface Figures {
  readonly requests: number;
  readonly seconds: number;
  readonly requestsPerSecond: number;
  readonly mibPerSecond: number | null;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly serverCpuSecondsPerGib: number | null;
  readonly serverCpuMsPerRequest: number | null;
  readonly clientCpuSecondsPerGib: number | null;
  readonly peakRssMib: number | null;
  /** Of all cores, what neither server nor client used: other processes, kernel threads, the hypervisor. */
  readonly othersCpuPercent: number | null;
  readonly errors: number;
  /** What went wrong first, for a person. */
  readonly problem: string | null;
}

interface Limits {
  readonly seconds: number;
  readonly maxBytes: number;
}

/** The connections of one load, and what they were told is stored. */
interface Senders {
  readonly connections: readonly Connection[];
  readonly chunks: readonly ChunkSender[];
}

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const STATUS_FILE_ID = 'status';
const STATUS_CHUNK_BYTES = 1024;
const STATUS_CHUNKS = 10;
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
    if (scenario.chunks === null) await storeForStatus(server);
    const warmUp = { seconds: options.warmUpSeconds, maxBytes: options.maxBytes * WARM_UP_SHARE };
    await load(scenario, server, { ...warmUp, label: 'warm-up' });
    const cpuBefore = await readCpu(server);
    const { result, problem, unstored } = await load(scenario, server, { ...options, label: 'load' });
    const cpu = difference(cpuBefore, await readCpu(server));
    const errors = result.refused + result.connectionErrors + unstored;
    const peakRss = await server.peakRssBytes();
    return {
      ...speedsOf(scenario, result, cpu?.server ?? null),
      othersCpuPercent: cpu === null ? null : othersPercent(cpu, result.clientCpuSeconds),
      peakRssMib: peakRss === null ? null : peakRss / MIB,
      errors,
      problem,
    };
  } finally {
    await server.close();
  }
}

/** Seconds. */
interface CpuTimes {
  readonly server: number;
  readonly machine: number;
  readonly at: number;
}

async function readCpu(server: BenchServer): Promise<CpuTimes | null> {
  const [ofServer, machine] = await Promise.all([server.cpuSeconds(), machineBusySeconds()]);
  if (ofServer === null || machine === null) return null;
  return { server: ofServer, machine, at: performance.now() / 1000 };
}

function difference(before: CpuTimes | null, after: CpuTimes | null): CpuTimes | null {
  if (before === null || after === null) return null;
  return {
    server: after.server - before.server,
    machine: after.machine - before.machine,
    at: after.at - before.at,
  };
}

/** The client's own looking at what is stored is among the others; it is a few status queries. */
function othersPercent({ server, machine, at }: CpuTimes, clientSeconds: number): number {
  return (Math.max(0, machine - server - clientSeconds) / (at * cpus().length)) * 100;
}

function speedsOf(
  { chunks }: Scenario,
  result: LoadResult,
  cpuSeconds: number | null,
): Omit<Figures, 'peakRssMib' | 'othersCpuPercent' | 'errors' | 'problem'> {
  const { requests, seconds, latencies, clientCpuSeconds } = result;
  const bytes = chunks === null ? null : requests * chunks.bytes;
  const perGib = (value: number | null): number | null =>
    value === null || bytes === null ? null : value / (bytes / GIB);
  return {
    requests,
    seconds,
    requestsPerSecond: requests / seconds,
    mibPerSecond: bytes === null ? null : bytes / MIB / seconds,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    serverCpuSecondsPerGib: perGib(cpuSeconds),
    serverCpuMsPerRequest: cpuSeconds === null ? null : (cpuSeconds * 1000) / requests,
    clientCpuSecondsPerGib: perGib(clientCpuSeconds),
  };
}

/** Nearest rank. */
function quantile(ascending: readonly number[], share: number): number {
  return ascending[Math.max(0, Math.ceil(ascending.length * share) - 1)] ?? Number.NaN;
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
  const wrong = scenario.server === 'product' ? await unstoredAmong(chunks, server.url) : [];
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
        order: chunks.order,
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
  const data = { exists: true, currentSize: STATUS_CHUNKS * STATUS_CHUNK_BYTES, fileId: STATUS_FILE_ID };
  const expected = JSON.stringify({ success: true, data });
  return {
    request: {
      method: 'GET',
      path: `/media/chunks?fileId=${STATUS_FILE_ID}`,
      headers: { 'X-API-Key': BENCH_KEY },
    },
    accept: (status, body) => status === 200 && body === expected,
  };
}

/** An upload to ask for. */
async function storeForStatus({ url }: BenchServer): Promise<void> {
  for (let index = 0; index < STATUS_CHUNKS; index += 1) {
    const body = new FormData();
    body.set('fileId', STATUS_FILE_ID);
    body.set('chunkIndex', String(index));
    body.set('totalChunks', String(STATUS_CHUNKS * 2));
    body.set('file', new Blob([payloadOf(STATUS_CHUNK_BYTES)]));
    const init = { method: 'POST', body, headers: { 'X-API-Key': BENCH_KEY } };
    const { status } = await fetch(`${url}/media/chunks`, init);
    if (status !== 200) throw new Error(`a chunk to ask for was answered with ${status}`);
  }
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
