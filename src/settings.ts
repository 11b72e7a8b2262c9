// settings.ts: every setting, in one zod schema: its type, default and sentence. Flags, environment names, --help,
// --print-config, the config file and the README's table are all made from it (tests: cli/arguments.test.ts, readme.test.ts).
//
// Must not know: where values come from (config.ts), what is done with them. It is a leaf.
import { z } from 'zod';
import { durationWithin, list, size } from './units.ts';

const flag = z.union([z.boolean(), z.enum(['true', 'false'])]).transform((value) => String(value) === 'true');

/** Added to a date of our times it is still one. */
const HUNDRED_YEARS = '36500d';
/** A timer of Node's own is as long, with what is added to it. */
const MOST_OF_A_TIMER = '24d';

const count = z.coerce.number({ error: 'expected a whole number' }).int('expected a whole number');
const text = z.string().min(1, 'expected some text, got none');

interface Setting<T extends z.ZodType> {
  readonly type: T;
  /** As a person would type it. Empty: not set. */
  readonly default: string;
  readonly sentence: string;
  readonly placeholder: string;
  readonly isSecret: boolean;
}

function setting<T extends z.ZodType>(
  type: T,
  about: { default?: string; sentence: string; placeholder: string; secret?: boolean },
): Setting<T> {
  const { sentence, placeholder } = about;
  return { type, default: about.default ?? '', sentence, placeholder, isSecret: about.secret ?? false };
}

export const SETTINGS = {
  host: setting(text, {
    default: '127.0.0.1',
    placeholder: 'ADDRESS',
    sentence:
      'Address to listen on. Of a name such as `localhost` it is the first, IPv4 before IPv6, and no other.',
  }),
  port: setting(count.min(0).max(65_535), {
    default: '4310',
    placeholder: 'PORT',
    sentence: 'Port to listen on; 0 takes a free one.',
  }),
  storage: setting(z.enum(['disk', 'memory']), {
    default: 'disk',
    placeholder: 'KIND',
    sentence: '`disk` survives restarts, `memory` leaves nothing behind.',
  }),
  dataDir: setting(text, {
    default: './.xenonflare-mock',
    placeholder: 'FOLDER',
    sentence: 'Folder of the disk storage. One process owns it.',
  }),
  waitForLock: setting(durationWithin('0s', HUNDRED_YEARS), {
    default: '30s',
    placeholder: 'DURATION',
    sentence:
      'How long a start watches the lock of the data folder when its holder cannot be looked up (another machine, container or boot). One that does not move for 10 s is taken over.',
  }),
  durability: setting(z.enum(['fsync', 'none']), {
    default: 'fsync',
    placeholder: 'MODE',
    sentence:
      '`fsync`: acknowledged chunks survive power loss. `none`: they survive the death of the process only; faster.',
  }),
  chunkOrder: setting(z.enum(['sequential', 'any']), {
    default: 'sequential',
    placeholder: 'ORDER',
    sentence: '`sequential`: a gap is refused. `any`: chunks may come in any order and in parallel.',
  }),
  maxFileSize: setting(size, {
    default: '5GiB',
    placeholder: 'SIZE',
    sentence: 'The most bytes one file may have.',
  }),
  maxStoredBytes: setting(size.optional(), {
    placeholder: 'SIZE',
    sentence:
      'The most bytes the server holds in all; beyond it, 507. Not set: the disk decides, or 1GiB in memory.',
  }),
  maxStoredBytesPerKey: setting(size.optional(), {
    placeholder: 'SIZE',
    sentence: 'The most bytes the server holds for one key; beyond it, 507. Not set: as many as for all.',
  }),
  maxOpenUploads: setting(count.min(1), {
    default: '10000',
    placeholder: 'COUNT',
    sentence: 'Unfinished uploads that one key may have; beyond it, 429.',
  }),
  maxRequestsPerSecond: setting(count.min(1).optional(), {
    placeholder: 'COUNT',
    sentence:
      'Requests of the contract that one key may make in a second; beyond it, 429. Not set: any number.',
  }),
  uploadTtl: setting(durationWithin('1ms', HUNDRED_YEARS), {
    default: '24h',
    placeholder: 'DURATION',
    sentence: 'An upload expires this long after its last stored chunk.',
  }),
  takeoverAfter: setting(durationWithin('0s', HUNDRED_YEARS), {
    default: '3s',
    placeholder: 'DURATION',
    sentence:
      'A request that sent no byte for this long gives way to a newer one for the same chunk; 0: at once.',
  }),
  headerTimeout: setting(durationWithin('0s', HUNDRED_YEARS), {
    default: '60s',
    placeholder: 'DURATION',
    sentence: 'A request must have sent its headers within this time; 0: no limit.',
  }),
  idleTimeout: setting(durationWithin('0s', HUNDRED_YEARS), {
    default: '60s',
    placeholder: 'DURATION',
    sentence:
      'A body that is silent for this long ends with 408; 0: none does. There is no limit on the total time.',
  }),
  keepAliveTimeout: setting(durationWithin('0s', MOST_OF_A_TIMER), {
    default: '72s',
    placeholder: 'DURATION',
    sentence: 'An unused connection is closed after this time; 0: never.',
  }),
  grace: setting(durationWithin('0s', MOST_OF_A_TIMER), {
    default: '10s',
    placeholder: 'DURATION',
    sentence: 'On SIGTERM, requests in flight have this long to end; 0: none.',
  }),
  maxParts: setting(count.min(4), {
    default: '100',
    placeholder: 'COUNT',
    sentence: 'Parts that one form may have.',
  }),
  maxPartHeaderBytes: setting(size, {
    default: '16KiB',
    placeholder: 'SIZE',
    sentence: 'Bytes that the headers of one part may have.',
  }),
  maxFieldBytes: setting(size, {
    default: '64KiB',
    placeholder: 'SIZE',
    sentence: 'Bytes that one form field may have; also the limit of a JSON or urlencoded body.',
  }),
  spoolMemory: setting(size, {
    default: '16MiB',
    placeholder: 'SIZE',
    sentence:
      'Memory for chunks whose `file` part comes before their fields, all together; beyond it, and those over 1 MiB, go to a temporary file.',
  }),
  drainLimit: setting(size, {
    default: '64MiB',
    placeholder: 'SIZE',
    sentence: 'After a refusal, this much of the body is still read, so that the client can read the answer.',
  }),
  apiKeys: setting(list, {
    placeholder: 'KEY,KEY',
    secret: true,
    sentence: 'Only these API keys are accepted. Not set: any key is, each with its own uploads.',
  }),
  apiKeysFile: setting(text.optional(), {
    placeholder: 'FILE',
    sentence: 'As --api-keys, one key a line; lines that begin with # are ignored.',
  }),
  fixtures: setting(text.optional(), {
    placeholder: 'FILE',
    sentence: 'JSON file with the `channels` and `profiles` that the server gives out.',
  }),
  strict: setting(flag, {
    default: 'false',
    placeholder: '',
    sentence: 'Media endpoints take multipart forms only, as the document says, and no JSON.',
  }),
  mediaCheck: setting(z.enum(['name', 'content', 'off']), {
    default: 'name',
    placeholder: 'CHECK',
    sentence:
      '`name`: the extension of a direct upload; `content`: the first bytes of every file, too; `off`: nothing.',
  }),
  pendingTime: setting(durationWithin('0s', HUNDRED_YEARS), {
    default: '200ms',
    placeholder: 'DURATION',
    sentence: 'How long a media entry is `pending` before it is `processing` (assumed).',
  }),
  processingTime: setting(durationWithin('0s', HUNDRED_YEARS), {
    default: '800ms',
    placeholder: 'DURATION',
    sentence: 'How long a media entry is `processing` before it is `completed` (assumed).',
  }),
  noJournal: setting(flag, { default: 'false', placeholder: '', sentence: 'Keeps no journal of exchanges.' }),
  journalEntries: setting(count.min(1), {
    default: '10000',
    placeholder: 'COUNT',
    sentence: 'Exchanges that the journal keeps of each key; the oldest go first.',
  }),
  journalBytes: setting(size, {
    default: '64MiB',
    placeholder: 'SIZE',
    sentence:
      'Memory that the journal may take for each key; all keys together take at most four times as much.',
  }),
  journalFile: setting(text.optional(), {
    placeholder: 'FILE',
    sentence:
      'Keeps the journal, and the rules with their counters, across restarts and crashes. It grows to twice what the journal holds. Not set: both are gone with the process.',
  }),
  rules: setting(text.optional(), {
    placeholder: 'FILE',
    sentence: 'YAML or JSON file with rules that are armed at start, for every key.',
  }),
  allowCrash: setting(flag, {
    default: 'false',
    placeholder: '',
    sentence: 'Rules may kill this process (`crash@post-commit`). Not set: arming such a rule is 400.',
  }),
  restartAfter: setting(durationWithin('0s', MOST_OF_A_TIMER).optional(), {
    placeholder: 'DURATION',
    sentence:
      'A server that is killed (SIGKILL, by a rule or by anybody) starts again after this time, on the same port: a parent process holds it. Not set: it stays down.',
  }),
  seed: setting(text.optional(), {
    placeholder: 'TEXT',
    sentence: 'Makes ids, jitter and probabilities a repeatable sequence.',
  }),
  corsOrigin: setting(list, {
    default: '*',
    placeholder: 'ORIGIN,…',
    sentence: 'Origins whose pages may call the contract routes; `*` for every one.',
  }),
  adminToken: setting(text.optional(), {
    placeholder: 'TOKEN',
    secret: true,
    sentence: 'Token of the admin plane. Needed to have it on a port that other machines reach.',
  }),
  adminCorsOrigin: setting(list, {
    placeholder: 'ORIGIN,…',
    sentence: 'Origins whose pages may call the admin plane. Not set: none.',
  }),
  adminPort: setting(count.min(0).max(65_535).optional(), {
    placeholder: 'PORT',
    sentence: 'Serves the admin plane on this port of the loopback address, and only there.',
  }),
  logLevel: setting(z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']), {
    default: 'info',
    placeholder: 'LEVEL',
    sentence: 'Least level of log lines. Logs go to stderr.',
  }),
} as const;

export type SettingName = keyof typeof SETTINGS;

export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[];

export function flagOf(name: SettingName): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

export function environmentOf(name: SettingName): string {
  return `XENONFLARE_MOCK_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}
