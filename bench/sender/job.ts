// bench/sender/job.ts: the messages to and from the sender's process: one load and its result.
import type { WireName } from '../wires.ts';

export interface Job {
  readonly wire: WireName;
  readonly url: string;
  readonly connections: number;
  readonly chunkBytes: number;
  readonly totalChunks: number;
  /** The uploads are `<label>-0`, `<label>-1` …: one for each connection. */
  readonly label: string;
  /** The first chunk to send in every upload. If it is not 0, the earlier chunks were sent before. */
  readonly firstIndex: number;
  /** After this many chunks, a connection begins a new upload: `<label>-0.1`, … Null: never. */
  readonly chunksPerUpload: number | null;
  /** The load ends at `seconds` or `maxRequests`, whichever comes first. */
  readonly seconds: number;
  readonly maxRequests: number;
  /** Whether to compute the expected hash of the first upload. This takes time after the load. */
  readonly digest: boolean;
}

/** What a server must hold of one upload. */
export interface SentUpload {
  readonly fileId: string;
  /** The location from the answer that created the upload; empty for protocols without such a request. */
  readonly location: string;
  readonly chunks: number;
  readonly bytes: number;
  readonly sha256: string;
}

export interface JobResult {
  /** The requests that were answered as expected. */
  readonly requests: number;
  /** The time from the first sent byte to the last answer. */
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The time of the last answered request. */
  readonly lastMs: number;
  /** The user and system seconds of the sender's process during the load. */
  readonly clientCpuSeconds: number;
  /** The requests with another answer or no answer. The first one ends the load. */
  readonly refused: number;
  readonly firstRefusal: string | null;
  /** The upload of the first connection; null when no digest was asked for. */
  readonly sent: SentUpload | null;
}
