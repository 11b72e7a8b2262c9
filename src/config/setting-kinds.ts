// config/setting-kinds.ts: the kinds of settings. Each kind has a unit, the text that a person may type, a function that reads
// this text, and a sentence that says what is expected.
//
// Promises: a value of another kind is never converted (`true` is not a port); reading it gives null.
import { isIP } from 'node:net';
import { parseBytes, parseDuration, parseList } from './units.ts';

export type Kind =
  | 'bytes'
  | 'duration'
  | 'count'
  | 'port'
  | 'host'
  | 'flag'
  | 'choice'
  | 'list'
  | 'path'
  | 'text'
  | 'secret';

/** The order in --help and in every table. */
export const GROUPS = {
  address: 'Where it listens',
  storage: 'What it stores, and where',
  uploads: 'Uploads',
  media: 'Videos and images',
  access: 'Who may call it',
  requests: 'Requests and connections',
  rules: 'Rules, journal and chance',
  log: 'Log',
} as const;

export interface Setting {
  readonly group: keyof typeof GROUPS;
  readonly kind: Kind;
  /** What a plain number counts. Empty: the setting is not a number. */
  readonly unit: string;
  /** As a person would type the value. Empty: not set. */
  readonly default: string;
  /** The default of `startServer`, if it differs. */
  readonly inProcess?: string;
  /** Bounds as a person would type them. Absent: only the bounds of the kind apply. */
  readonly least?: string;
  readonly most?: string;
  /** The values of a choice. */
  readonly choices?: readonly string[];
  /** Stands for the value in --help. Empty: the flag takes no value. */
  readonly placeholder: string;
  /** The value is never shown (rule K5). */
  readonly isSecret: boolean;
  readonly doc: string;
}

type About = Pick<Setting, 'group' | 'doc'> & Partial<Omit<Setting, 'kind'>>;
type DefaultOf<A> = A extends { readonly default: infer D extends string } ? D : '';
type ChoicesOf<A> = A extends { readonly choices: infer C extends readonly string[] } ? C : readonly string[];
export type Made<K extends Kind, A> = Setting & {
  readonly kind: K;
  readonly default: DefaultOf<A>;
  readonly choices: ChoicesOf<A>;
};

interface KindFacts {
  readonly placeholder: string;
  readonly unit?: string;
  /** The TypeScript type of the option. */
  readonly type: string;
  /** Null: the value cannot be used. */
  read(value: unknown, setting: Setting): unknown;
  expected(setting: Setting): string;
}

const MOST_PORT = 65_535;
const TEXT_TYPE = { type: 'string', read: readText };
const NUMBER_TYPE = 'number | string';

const KINDS: Readonly<Record<Kind, KindFacts>> = {
  bytes: {
    placeholder: 'SIZE',
    unit: 'bytes',
    type: NUMBER_TYPE,
    read: (value, setting) => within(parseBytes(value), setting, parseBytes),
    expected: (setting) => `a size${rangeOf(setting)} such as 1000000, 64MiB or 5GiB`,
  },
  duration: {
    placeholder: 'DURATION',
    unit: 'milliseconds',
    type: NUMBER_TYPE,
    read: (value, setting) => within(parseDuration(value), setting, parseDuration),
    expected: (setting) => `a duration${rangeOf(setting)}, such as 500ms, 30s or 24h`,
  },
  count: {
    placeholder: 'COUNT',
    type: NUMBER_TYPE,
    read: (value, setting) => within(parseWhole(value), setting, parseWhole),
    expected: (setting) => `a whole number${rangeOf(setting)}`,
  },
  port: {
    placeholder: 'PORT',
    type: NUMBER_TYPE,
    read: readPort,
    expected: () => `a port: a whole number from 0 to ${MOST_PORT}`,
  },
  host: {
    placeholder: 'ADDRESS',
    type: 'string',
    read: readHost,
    expected: () => 'an address or a name alone, such as 127.0.0.1, 0.0.0.0, ::1 or localhost',
  },
  flag: {
    placeholder: '',
    type: `boolean | 'true' | 'false'`,
    read: readFlag,
    expected: () => 'true or false',
  },
  choice: {
    placeholder: 'KIND',
    type: '',
    read: (value, { choices = [] }) => choices.find((choice) => choice === value) ?? null,
    expected: ({ choices = [] }) => eitherOf(choices),
  },
  list: {
    placeholder: 'ITEM,…',
    type: 'readonly string[] | string',
    read: readList,
    expected: () => 'a list: text with commas between the items, without control characters',
  },
  path: { ...TEXT_TYPE, placeholder: 'FILE', expected: () => 'the path of a file or a folder' },
  text: { ...TEXT_TYPE, placeholder: 'TEXT', expected: () => 'some text, without control characters' },
  secret: { ...TEXT_TYPE, placeholder: 'SECRET', expected: () => 'some text, without control characters' },
};

/** Makes the rows of the table of settings. */
export function ofKind<K extends Kind>(kind: K): <const A extends About>(about: A) => Made<K, A> {
  return <const A extends About>(about: A): Made<K, A> => {
    const { placeholder, unit = '' } = KINDS[kind];
    const made: Setting = { unit, placeholder, default: '', isSecret: kind === 'secret', ...about, kind };
    return made as Made<K, A>;
  };
}

/** Converts a value from a program or a person for the code. Null: the value cannot be used. */
export function readAs(setting: Setting, value: unknown): unknown {
  return KINDS[setting.kind].read(value, setting);
}

/** "a port: a whole number from 0 to 65535" */
export function expectedOf(setting: Setting): string {
  return KINDS[setting.kind].expected(setting);
}

/** The TypeScript type of the option. */
export function typeOf({ kind, choices = [] }: Setting): string {
  return kind === 'choice' ? choices.map((choice) => `'${choice}'`).join(' | ') : KINDS[kind].type;
}

type ParseNumber = (value: unknown) => number | null;

function within(value: number | null, { least, most }: Setting, parse: ParseNumber): number | null {
  if (value === null || value < (parse(least) ?? 0)) return null;
  return value > (parse(most) ?? Number.MAX_SAFE_INTEGER) ? null : value;
}

function rangeOf({ least, most }: Setting): string {
  if (most !== undefined) return ` from ${least ?? 0} to ${most}`;
  return least === undefined ? '' : ` from ${least} up`;
}

const parseWhole: ParseNumber = (value) => {
  const isWritten = typeof value === 'string' && /^\d+$/.test(value);
  const number = isWritten ? Number(value) : value;
  return Number.isSafeInteger(number) && Number(number) >= 0 ? Number(number) : null;
};

function readPort(value: unknown): number | null {
  const port = parseWhole(value);
  return port === null || port > MOST_PORT ? null : port;
}

/** Refuses URLs and `host:port`: they would be looked up as a name and never found. */
function readHost(value: unknown): string | null {
  const text = readText(value);
  if (text === null || isIP(text) !== 0) return text;
  return /^[\w.%-]+$/.test(text) ? text : null;
}

function readFlag(value: unknown): boolean | null {
  const text = String(value);
  const isOne = typeof value === 'boolean' || typeof value === 'string';
  return isOne && /^(true|false)$/.test(text) ? text === 'true' : null;
}

function readList(value: unknown): readonly string[] | null {
  const items = parseList(value);
  return items === null || items.some((item) => readText(item) === null) ? null : items;
}

function readText(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && !/\p{Cc}/u.test(value) ? value : null;
}

/** "name, content or off" */
function eitherOf(choices: readonly string[]): string {
  return `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`;
}
