// config/settings.ts: all settings in one table: kind, unit, bounds, default, group and sentence. Flags, environment names,
// --help, --print-config, the config file, the options of `startServer` and docs/reference.md are made from this table
// (tests: cli/arguments.test.ts, cli/help.test.ts, docs/reference.test.ts, options.test.ts).
//
// Promises: a setting has one name. `maxFileSize` is the flag --max-file-size, the variable XENONFLARE_MOCK_MAX_FILE_SIZE,
// the key of a config file, the option of `startServer` and the field of the configuration. This module holds only data.
import { ofKind } from './setting-kinds.ts';

const [bytes, duration, count, port] = [ofKind('bytes'), ofKind('duration'), ofKind('count'), ofKind('port')];
const [flag, choice, list, path] = [ofKind('flag'), ofKind('choice'), ofKind('list'), ofKind('path')];
const [host, text, secret] = [ofKind('host'), ofKind('text'), ofKind('secret')];

/** The sum of a present date and this duration is still a valid date. */
const HUNDRED_YEARS = '36500d';
/** A timer of Node can wait this long, with a margin for what the code adds. */
const MOST_OF_A_TIMER = '24d';

const ANY_TIME = { least: '0s', most: HUNDRED_YEARS } as const;
const TIME_OF_A_TIMER = { least: '0s', most: MOST_OF_A_TIMER } as const;

export const SETTINGS = {
  host: host({
    group: 'address',
    default: '127.0.0.1',
    doc: 'Address to listen on. A name such as `localhost` means its first address only, IPv4 before IPv6.',
  }),
  port: port({
    group: 'address',
    default: '4310',
    inProcess: '0',
    doc: 'Port to listen on; 0 takes a free port.',
  }),
  adminPort: port({
    group: 'address',
    doc: 'Serves the admin plane on this port of the loopback address, and only there.',
  }),
  storage: choice({
    group: 'storage',
    choices: ['disk', 'memory'],
    default: 'disk',
    inProcess: 'memory',
    doc: '`disk` survives restarts, `memory` leaves nothing behind.',
  }),
  dataDir: path({
    group: 'storage',
    default: './.xenonflare-mock',
    placeholder: 'FOLDER',
    doc: 'Folder of the disk storage. One process owns it.',
  }),
  waitForLock: duration({
    group: 'storage',
    ...ANY_TIME,
    default: '30s',
    doc: 'How long a start watches the lock of the data folder when its holder cannot be looked up (another machine, container or boot). A lock that does not change for 10 s is taken over.',
  }),
  durability: choice({
    group: 'storage',
    choices: ['fsync', 'none'],
    default: 'fsync',
    placeholder: 'MODE',
    doc: '`fsync`: acknowledged chunks survive power loss. `none`: they survive the death of the process only; faster.',
  }),
  maxStoredBytes: bytes({
    group: 'storage',
    doc: 'The most bytes the server holds in all; beyond it, 507. Not set: the disk decides, or 1GiB in memory.',
  }),
  maxStoredBytesPerKey: bytes({
    group: 'storage',
    doc: 'The most bytes the server holds for one key; beyond it, 507. Not set: the limit for all keys.',
  }),
  maxFileSize: bytes({ group: 'uploads', default: '5GiB', doc: 'The most bytes one file may have.' }),
  chunkOrder: choice({
    group: 'uploads',
    choices: ['sequential', 'any'],
    default: 'sequential',
    placeholder: 'ORDER',
    doc: '`sequential`: a gap is refused. `any`: chunks may come in any order and in parallel.',
  }),
  uploadTtl: duration({
    group: 'uploads',
    ...ANY_TIME,
    least: '1ms',
    default: '24h',
    doc: 'An upload expires this long after its last stored chunk.',
  }),
  takeoverAfter: duration({
    group: 'uploads',
    ...ANY_TIME,
    default: '3s',
    doc: 'A request that sent no byte for this long gives way to a newer one for the same chunk; 0: at once.',
  }),
  maxOpenUploads: count({
    group: 'uploads',
    unit: 'uploads',
    least: '1',
    default: '10000',
    doc: 'Unfinished uploads that one key may have; beyond it, 429.',
  }),
  strict: flag({
    group: 'media',
    default: 'false',
    doc: 'Media endpoints take multipart forms only, as the document says, and no JSON.',
  }),
  mediaCheck: choice({
    group: 'media',
    choices: ['name', 'content', 'off'],
    default: 'name',
    placeholder: 'CHECK',
    doc: 'What is checked. `name`: the extension of a direct upload; `content`: also the first bytes of every file; `off`: nothing.',
  }),
  pendingTime: duration({
    group: 'media',
    ...ANY_TIME,
    default: '200ms',
    doc: 'How long a media entry is `pending` before it is `processing` (assumed).',
  }),
  processingTime: duration({
    group: 'media',
    ...ANY_TIME,
    default: '800ms',
    doc: 'How long a media entry is `processing` before it is `completed` (assumed).',
  }),
  fixtures: path({
    group: 'media',
    doc: 'JSON file with the `channels` and `profiles` that the server returns.',
  }),
  apiKeys: list({
    group: 'access',
    placeholder: 'KEY,KEY',
    isSecret: true,
    doc: 'Only these API keys are accepted. Not set: every key is accepted and has its own uploads.',
  }),
  apiKeysFile: path({
    group: 'access',
    doc: 'As --api-keys, one key a line; lines that begin with # are ignored.',
  }),
  maxRequestsPerSecond: count({
    group: 'access',
    unit: 'requests',
    least: '1',
    doc: 'Requests of the contract that one key may make in a second; beyond it, 429. Not set: any number.',
  }),
  corsOrigin: list({
    group: 'access',
    default: '*',
    placeholder: 'ORIGIN,…',
    doc: 'Origins whose pages may call the contract routes; `*` for every one.',
  }),
  adminToken: secret({
    group: 'access',
    placeholder: 'TOKEN',
    doc: 'Token of the admin plane. Required if other machines can reach its port.',
  }),
  adminCorsOrigin: list({
    group: 'access',
    placeholder: 'ORIGIN,…',
    doc: 'Origins whose pages may call the admin plane. Not set: none.',
  }),
  headerTimeout: duration({
    group: 'requests',
    ...ANY_TIME,
    default: '60s',
    doc: 'A request must have sent its headers within this time; 0: no limit.',
  }),
  idleTimeout: duration({
    group: 'requests',
    ...ANY_TIME,
    default: '60s',
    doc: 'A body that is silent for this long ends with 408; 0: no limit. There is no limit on the total time.',
  }),
  keepAliveTimeout: duration({
    group: 'requests',
    ...TIME_OF_A_TIMER,
    default: '72s',
    doc: 'An unused connection is closed after this time; 0: never.',
  }),
  grace: duration({
    group: 'requests',
    ...TIME_OF_A_TIMER,
    default: '10s',
    doc: 'On SIGTERM, requests in flight have this long to end; 0: no time.',
  }),
  maxParts: count({
    group: 'requests',
    unit: 'parts',
    least: '4',
    default: '100',
    doc: 'Parts that one form may have.',
  }),
  maxPartHeaderBytes: bytes({
    group: 'requests',
    default: '16KiB',
    doc: 'Bytes that the headers of one part may have.',
  }),
  maxFieldBytes: bytes({
    group: 'requests',
    default: '64KiB',
    doc: 'Bytes that one form field may have; also the limit of a JSON or urlencoded body.',
  }),
  spoolMemory: bytes({
    group: 'requests',
    default: '16MiB',
    doc: 'Memory for all chunks together whose `file` part comes before their fields. Chunks beyond it, and chunks over 1 MiB, go to a temporary file.',
  }),
  drainLimit: bytes({
    group: 'requests',
    default: '64MiB',
    doc: 'After a refusal, this much of the body is still read, so that the client can read the answer.',
  }),
  rules: path({
    group: 'rules',
    doc: 'YAML or JSON file with rules that are armed at start, for every key.',
  }),
  allowCrash: flag({
    group: 'rules',
    default: 'false',
    doc: 'Rules may kill this process (`crash@post-commit`). Not set: arming such a rule is 400.',
  }),
  restartAfter: duration({
    group: 'rules',
    ...TIME_OF_A_TIMER,
    doc: 'A server that is killed (by SIGKILL, from a rule or from outside) is started again after this time, on the same port, by a parent process. Not set: it stays down.',
  }),
  seed: text({ group: 'rules', doc: 'Makes ids, jitter and probabilities a repeatable sequence.' }),
  noJournal: flag({ group: 'rules', default: 'false', doc: 'Keeps no journal of exchanges.' }),
  journalEntries: count({
    group: 'rules',
    unit: 'exchanges',
    least: '1',
    default: '10000',
    doc: 'Exchanges that the journal keeps of each key; the oldest go first.',
  }),
  journalBytes: bytes({
    group: 'rules',
    default: '64MiB',
    doc: 'Memory that the journal may take for each key; all keys together may take at most four times as much.',
  }),
  journalFile: path({
    group: 'rules',
    doc: 'Keeps the journal, and the rules with their counters, across restarts and crashes. It grows to twice what the journal holds. Not set: both are lost when the process ends.',
  }),
  logLevel: choice({
    group: 'log',
    choices: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    default: 'info',
    inProcess: 'silent',
    placeholder: 'LEVEL',
    doc: 'Least level of log lines. Logs go to stderr.',
  }),
} as const;

export type SettingName = keyof typeof SETTINGS;

export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[];

/** Flags of the command that are not settings. */
export const COMMAND_FLAGS = [
  { flag: '--config FILE', doc: 'JSON file with settings. Flags and environment take precedence.' },
  { flag: '--print-config', doc: 'Prints every setting, its value and where it came from, and ends.' },
  { flag: '--version', doc: 'Prints the version and ends.' },
  { flag: '-h, --help', doc: 'Prints this text and ends.' },
] as const;

export function flagOf(name: SettingName): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

export function environmentOf(name: SettingName): string {
  return `XENONFLARE_MOCK_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}
