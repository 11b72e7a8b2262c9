// bench/autocannon.d.ts: the part of autocannon 9 that the bench uses; the package brings no types.
//
// `getRequestBuffer`, `responseMax` and `conn` are not in its documents: load.ts checks that they are there.
declare module 'autocannon' {
  import type { EventEmitter } from 'node:events';
  import type { Socket } from 'node:net';

  export interface Request {
    readonly method?: 'GET' | 'POST';
    readonly path?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly onResponse?: (status: number, body: string) => void;
  }

  export interface Client {
    readonly conn: Socket;
    /** The bytes of the next request; autocannon writes what it returns. */
    getRequestBuffer: () => Buffer;
    /** The client ends when it has made this many requests. */
    responseMax: number | undefined;
    setRequests(requests: readonly Request[]): void;
  }

  export interface Options {
    readonly url: string;
    readonly connections: number;
    /** Seconds. */
    readonly duration: number;
    /** Seconds. */
    readonly timeout: number;
    /** Milliseconds between two looks at whether all clients ended. */
    readonly sampleInt: number;
    readonly setupClient: (client: Client) => void;
  }

  export interface Result {
    readonly errors: number;
    readonly timeouts: number;
    readonly non2xx: number;
  }

  /** Emits `response` with (client, status, bytes, milliseconds). */
  export default function autocannon(
    options: Options,
    done: (error: Error | null, result: Result) => void,
  ): EventEmitter;
}
