// bench/figures.ts: the figures of one measured scenario, and how they are computed from counts and times.
//
// Promises: a figure is null when it does not apply or cannot be known on this system; it is never a guess. The figures of the
// server, of the client and of everything else on the machine are separate.
// Must not know: how the load was made, how figures are shown.
import { cpus } from 'node:os';
import { machineBusySeconds } from './proc.ts';
import type { BenchServer } from './server.ts';

/** Null: the figure does not apply to the scenario or cannot be known on this system. */
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
  readonly clientCpuMsPerRequest: number;
  readonly peakRssMib: number | null;
  /** The share of all cores that neither server nor client used: other processes, kernel threads, the hypervisor. */
  readonly othersCpuPercent: number | null;
  readonly errors: number;
  /** The first problem, for people. */
  readonly problem: string | null;
}

/** The names of the figures that are numbers. */
export type Figure = {
  [Key in keyof Figures]: Figures[Key] extends number | null ? Key : never;
}[keyof Figures];

/** The counts and times of one load. */
export interface Counted {
  /** The requests that were answered as expected. */
  readonly requests: number;
  /** The bytes of file in each request; null for status queries. */
  readonly bytesPerRequest: number | null;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly clientCpuSeconds: number;
  readonly errors: number;
  readonly problem: string | null;
}

/** CPU times in seconds. */
export interface CpuTimes {
  readonly server: number;
  readonly machine: number;
  readonly at: number;
}

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

export async function readCpu(server: BenchServer): Promise<CpuTimes | null> {
  const [ofServer, machine] = await Promise.all([server.cpuSeconds(), machineBusySeconds()]);
  if (ofServer === null || machine === null) return null;
  return { server: ofServer, machine, at: performance.now() / 1000 };
}

export function cpuBetween(before: CpuTimes | null, after: CpuTimes | null): CpuTimes | null {
  if (before === null || after === null) return null;
  return {
    server: after.server - before.server,
    machine: after.machine - before.machine,
    at: after.at - before.at,
  };
}

export function figuresOf(load: Counted, cpu: CpuTimes | null, peakRssBytes: number | null): Figures {
  const { requests, seconds, bytesPerRequest, clientCpuSeconds } = load;
  const bytes = bytesPerRequest === null ? null : requests * bytesPerRequest;
  const perGib = (value: number | null): number | null =>
    value === null || bytes === null ? null : value / (bytes / GIB);
  return {
    requests,
    seconds,
    requestsPerSecond: requests / seconds,
    mibPerSecond: bytes === null ? null : bytes / MIB / seconds,
    p50Ms: load.p50Ms,
    p99Ms: load.p99Ms,
    serverCpuSecondsPerGib: perGib(cpu?.server ?? null),
    serverCpuMsPerRequest: cpu === null ? null : (cpu.server * 1000) / requests,
    clientCpuSecondsPerGib: perGib(clientCpuSeconds),
    clientCpuMsPerRequest: (clientCpuSeconds * 1000) / requests,
    peakRssMib: peakRssBytes === null ? null : peakRssBytes / MIB,
    othersCpuPercent: cpu === null ? null : othersPercent(cpu, clientCpuSeconds),
    errors: load.errors,
    problem: load.problem,
  };
}

/** The figures of a load that could not be made: only the problem is known. */
export function failedFigures(problem: string): Figures {
  const unknown = Number.NaN;
  const counted = {
    requests: 0,
    seconds: unknown,
    p50Ms: unknown,
    p99Ms: unknown,
    clientCpuSeconds: unknown,
  };
  return figuresOf({ ...counted, bytesPerRequest: null, errors: 1, problem }, null, null);
}

/** CPU time outside server and client. It includes the check of stored bytes, which costs a few status queries. */
function othersPercent({ server, machine, at }: CpuTimes, clientSeconds: number): number {
  return (Math.max(0, machine - server - clientSeconds) / (at * cpus().length)) * 100;
}

/** Null: the list is empty, or one of the values is null. */
export function median(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null).toSorted((a, b) => a - b);
  if (known.length === 0 || known.length < values.length) return null;
  const middle = (known.length - 1) / 2;
  return ((known[Math.floor(middle)] ?? 0) + (known[Math.ceil(middle)] ?? 0)) / 2;
}

/** The quantile by nearest rank, in milliseconds. */
export function quantile(ascending: readonly number[], share: number): number {
  return ascending[Math.max(0, Math.ceil(ascending.length * share) - 1)] ?? Number.NaN;
}
