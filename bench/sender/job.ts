// bench/sender/job.ts: one load, as the sender's process is asked for it and answers it.
import type { WireName } from '../wires.ts';

export interface Job {
  readonly wire: WireName;
  readonly url: string;
  readonly connections: number;
  readonly chunkBytes: number;
  readonly totalChunks: number;
  /** The uploads are `<label>-0`, `<label>-1` …: one for each connection. */
  readonly label: string;
  /** The first chunk to send, of every upload. Not 0: the earlier ones were sent before. */
  readonly firstIndex: number;
  /** After so many chunks a connection begins a new upload: `<label>-0.1`, … Null: never. */
  readonly chunksPerUpload: number | null;
  /** Whichever is first ends the load. */
  readonly seconds: number;
  readonly maxRequests: number;
  /** Whether to say what the first upload's bytes must hash to: it costs time, after the load. */
  readonly digest: boolean;
}

/** What a server must hold of one upload. */
export interface SentUpload {
  readonly fileId: string;
  /** What creating it was answered; empty for the wires that do not. */
  readonly location: string;
  readonly chunks: number;
  readonly bytes: number;
  readonly sha256: string;
}

export interface JobResult {
  /** Answered as expected. */
  readonly requests: number;
  /** From the first byte sent to the last answer. */
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the request answered last. */
  readonly lastMs: number;
  /** User and system seconds of the sender's process during the load. */
  readonly clientCpuSeconds: number;
  /** Answered otherwise, or not at all: the load ends with the first. */
  readonly refused: number;
  readonly firstRefusal: string | null;
  /** The upload of the first connection; null when no digest was asked for. */
  readonly sent: SentUpload | null;
}
