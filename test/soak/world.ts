// soak/world.ts: what all clients of a soak share: the options, the record, the uploads in progress, the armed rules.
//
// Must not know: what clients do with it.
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { SoakOptions } from './options.ts';
import type { Record } from './record.ts';
import type { SoakServer } from './server.ts';
import type { Upload } from './upload.ts';

/** The settings of the servers. The times are short, so that what takes hours happens within a soak. */
export const TIMES = { uploadTtlMs: 30_000, takeoverMs: 1_000, idleMs: 4_000, graceMs: 1_500 } as const;
export const JOURNAL_ENTRIES = 1_000;
/** The journal's bounds count per key, and each client has one key. So all journals are full within the first third. */
export const JOURNAL_ENTRIES_PER_KEY = 50;

/** A finished upload that is still on the server. */
export interface Kept {
  readonly upload: Upload;
  readonly mediaId: string;
  readonly key: string;
}

/** No client will send anything for it any more. */
export interface Abandoned {
  readonly upload: Upload;
  readonly leftAtMs: number;
}

export class World {
  readonly options: SoakOptions;
  readonly record: Record;
  readonly #over = new AbortController();
  /** By rule id: the effect. */
  readonly armed = new Map<string, string>();

  constructor(options: SoakOptions, record: Record) {
    this.options = options;
    this.record = record;
    setMaxListeners(0, this.#over.signal); // All clients pause at once.
  }

  get isOver(): boolean {
    return this.#over.signal.aborted;
  }

  end(): void {
    this.#over.abort();
  }

  /** Sooner when the soak is over. */
  async pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#over.signal }).catch(() => undefined);
  }
}

/** A server with who is on it. */
export class Site {
  readonly world: World;
  readonly server: SoakServer;
  readonly order: 'sequential' | 'any';
  readonly uploads = new Set<Upload>();
  readonly kept = new Set<Kept>();
  readonly abandoned: Abandoned[] = [];
  readonly keys = new Set<string>();

  constructor(world: World, server: SoakServer, order: 'sequential' | 'any') {
    this.world = world;
    this.server = server;
    this.order = order;
  }
}
