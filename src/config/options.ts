// config/options.ts: the options of `startServer`, with the text that an editor shows for each. test/config/options.test.ts
// generates this file from settings.ts and says how: change settings.ts, not this file.

/** Named as the settings. Values have the type of the setting, or are the text that a person would type. */
export interface ConfigInput {
  /**
   * Address to listen on. A name such as `localhost` means its first address only, IPv4 before IPv6. Default:
   * `127.0.0.1`. Flag: `--host`.
   */
  readonly host?: string | undefined;
  /** Port to listen on; 0 takes a free port. Default: `0`. Flag: `--port`. */
  readonly port?: number | string | undefined;
  /** Serves the admin plane on this port of the loopback address, and only there. Flag: `--admin-port`. */
  readonly adminPort?: number | string | undefined;
  /** `disk` survives restarts, `memory` leaves nothing behind. Default: `memory`. Flag: `--storage`. */
  readonly storage?: 'disk' | 'memory' | undefined;
  /** Folder of the disk storage. One process owns it. Default: `./.xenonflare-mock`. Flag: `--data-dir`. */
  readonly dataDir?: string | undefined;
  /**
   * How long a start watches the lock of the data folder when its holder cannot be looked up (another
   * machine, container or boot). A lock that does not change for 10 s is taken over. Milliseconds, or a text
   * such as `30s`. From 0s to 36500d. Default: `30s`. Flag: `--wait-for-lock`.
   */
  readonly waitForLock?: number | string | undefined;
  /**
   * `fsync`: acknowledged chunks survive power loss. `none`: they survive the death of the process only;
   * faster. Default: `fsync`. Flag: `--durability`.
   */
  readonly durability?: 'fsync' | 'none' | undefined;
  /**
   * The most bytes the server holds in all; beyond it, 507. Not set: the disk decides, or 1GiB in memory.
   * Bytes, or a text such as `64MiB`. Flag: `--max-stored-bytes`.
   */
  readonly maxStoredBytes?: number | string | undefined;
  /**
   * The most bytes the server holds for one key; beyond it, 507. Not set: the limit for all keys. Bytes, or a
   * text such as `64MiB`. Flag: `--max-stored-bytes-per-key`.
   */
  readonly maxStoredBytesPerKey?: number | string | undefined;
  /**
   * The most bytes one file may have. Bytes, or a text such as `64MiB`. Default: `5GiB`. Flag:
   * `--max-file-size`.
   */
  readonly maxFileSize?: number | string | undefined;
  /**
   * `sequential`: a gap is refused. `any`: chunks may come in any order and in parallel. Default:
   * `sequential`. Flag: `--chunk-order`.
   */
  readonly chunkOrder?: 'sequential' | 'any' | undefined;
  /**
   * An upload expires this long after its last stored chunk. Milliseconds, or a text such as `30s`. From 1ms
   * to 36500d. Default: `24h`. Flag: `--upload-ttl`.
   */
  readonly uploadTtl?: number | string | undefined;
  /**
   * A request that sent no byte for this long gives way to a newer one for the same chunk; 0: at once.
   * Milliseconds, or a text such as `30s`. From 0s to 36500d. Default: `3s`. Flag: `--takeover-after`.
   */
  readonly takeoverAfter?: number | string | undefined;
  /**
   * Unfinished uploads that one key may have; beyond it, 429. At least 1. Default: `10000`. Flag:
   * `--max-open-uploads`.
   */
  readonly maxOpenUploads?: number | string | undefined;
  /**
   * Media endpoints take multipart forms only, as the document says, and no JSON. Default: `false`. Flag:
   * `--strict`.
   */
  readonly strict?: boolean | 'true' | 'false' | undefined;
  /**
   * What is checked. `name`: the extension of a direct upload; `content`: also the first bytes of every file;
   * `off`: nothing. Default: `name`. Flag: `--media-check`.
   */
  readonly mediaCheck?: 'name' | 'content' | 'off' | undefined;
  /**
   * How long a media entry is `pending` before it is `processing` (assumed). Milliseconds, or a text such as
   * `30s`. From 0s to 36500d. Default: `200ms`. Flag: `--pending-time`.
   */
  readonly pendingTime?: number | string | undefined;
  /**
   * How long a media entry is `processing` before it is `completed` (assumed). Milliseconds, or a text such
   * as `30s`. From 0s to 36500d. Default: `800ms`. Flag: `--processing-time`.
   */
  readonly processingTime?: number | string | undefined;
  /** JSON file with the `channels` and `profiles` that the server returns. Flag: `--fixtures`. */
  readonly fixtures?: string | undefined;
  /**
   * Only these API keys are accepted. Not set: every key is accepted and has its own uploads. An array, or a
   * text with commas. Flag: `--api-keys`.
   */
  readonly apiKeys?: readonly string[] | string | undefined;
  /** As --api-keys, one key a line; lines that begin with # are ignored. Flag: `--api-keys-file`. */
  readonly apiKeysFile?: string | undefined;
  /**
   * Requests of the contract that one key may make in a second; beyond it, 429. Not set: any number. At least
   * 1. Flag: `--max-requests-per-second`.
   */
  readonly maxRequestsPerSecond?: number | string | undefined;
  /**
   * Origins whose pages may call the contract routes; `*` for every one. An array, or a text with commas.
   * Default: `*`. Flag: `--cors-origin`.
   */
  readonly corsOrigin?: readonly string[] | string | undefined;
  /** Token of the admin plane. Required if other machines can reach its port. Flag: `--admin-token`. */
  readonly adminToken?: string | undefined;
  /**
   * Origins whose pages may call the admin plane. Not set: none. An array, or a text with commas. Flag:
   * `--admin-cors-origin`.
   */
  readonly adminCorsOrigin?: readonly string[] | string | undefined;
  /**
   * A request must have sent its headers within this time; 0: no limit. Milliseconds, or a text such as
   * `30s`. From 0s to 36500d. Default: `60s`. Flag: `--header-timeout`.
   */
  readonly headerTimeout?: number | string | undefined;
  /**
   * A body that is silent for this long ends with 408; 0: no limit. There is no limit on the total time.
   * Milliseconds, or a text such as `30s`. From 0s to 36500d. Default: `60s`. Flag: `--idle-timeout`.
   */
  readonly idleTimeout?: number | string | undefined;
  /**
   * An unused connection is closed after this time; 0: never. Milliseconds, or a text such as `30s`. From 0s
   * to 24d. Default: `72s`. Flag: `--keep-alive-timeout`.
   */
  readonly keepAliveTimeout?: number | string | undefined;
  /**
   * On SIGTERM, requests in flight have this long to end; 0: no time. Milliseconds, or a text such as `30s`.
   * From 0s to 24d. Default: `10s`. Flag: `--grace`.
   */
  readonly grace?: number | string | undefined;
  /** Parts that one form may have. At least 4. Default: `100`. Flag: `--max-parts`. */
  readonly maxParts?: number | string | undefined;
  /**
   * Bytes that the headers of one part may have. Bytes, or a text such as `64MiB`. Default: `16KiB`. Flag:
   * `--max-part-header-bytes`.
   */
  readonly maxPartHeaderBytes?: number | string | undefined;
  /**
   * Bytes that one form field may have; also the limit of a JSON or urlencoded body. Bytes, or a text such as
   * `64MiB`. Default: `64KiB`. Flag: `--max-field-bytes`.
   */
  readonly maxFieldBytes?: number | string | undefined;
  /**
   * Memory for all chunks together whose `file` part comes before their fields. Chunks beyond it, and chunks
   * over 1 MiB, go to a temporary file. Bytes, or a text such as `64MiB`. Default: `16MiB`. Flag:
   * `--spool-memory`.
   */
  readonly spoolMemory?: number | string | undefined;
  /**
   * After a refusal, this much of the body is still read, so that the client can read the answer. Bytes, or a
   * text such as `64MiB`. Default: `64MiB`. Flag: `--drain-limit`.
   */
  readonly drainLimit?: number | string | undefined;
  /** YAML or JSON file with rules that are armed at start, for every key. Flag: `--rules`. */
  readonly rules?: string | undefined;
  /**
   * Rules may kill this process (`crash@post-commit`). Not set: arming such a rule is 400. Default: `false`.
   * Flag: `--allow-crash`.
   */
  readonly allowCrash?: boolean | 'true' | 'false' | undefined;
  /**
   * A server that is killed (by SIGKILL, from a rule or from outside) is started again after this time, on
   * the same port, by a parent process. Not set: it stays down. Milliseconds, or a text such as `30s`. From
   * 0s to 24d. Flag: `--restart-after`.
   */
  readonly restartAfter?: number | string | undefined;
  /** Makes ids, jitter and probabilities a repeatable sequence. Flag: `--seed`. */
  readonly seed?: string | undefined;
  /** Keeps no journal of exchanges. Default: `false`. Flag: `--no-journal`. */
  readonly noJournal?: boolean | 'true' | 'false' | undefined;
  /**
   * Exchanges that the journal keeps of each key; the oldest go first. At least 1. Default: `10000`. Flag:
   * `--journal-entries`.
   */
  readonly journalEntries?: number | string | undefined;
  /**
   * Memory that the journal may take for each key; all keys together may take at most four times as much.
   * Bytes, or a text such as `64MiB`. Default: `64MiB`. Flag: `--journal-bytes`.
   */
  readonly journalBytes?: number | string | undefined;
  /**
   * Keeps the journal, and the rules with their counters, across restarts and crashes. It grows to twice what
   * the journal holds. Not set: both are lost when the process ends. Flag: `--journal-file`.
   */
  readonly journalFile?: string | undefined;
  /** Least level of log lines. Logs go to stderr. Default: `silent`. Flag: `--log-level`. */
  readonly logLevel?: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent' | undefined;
}
