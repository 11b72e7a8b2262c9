// config/config.ts: builds one configuration from flags, environment, config file and defaults.
//
// Promises: flags > environment > config file > defaults. An unknown key or a bad value is a ConfigError that names the
// key, its source, the value that was received and the values that are expected. The result is frozen.
// The module reads no environment and no file itself: callers pass the values in.
import type { ConfigInput } from './options.ts';
import { expectedOf, readAs } from './setting-kinds.ts';
import { environmentOf, flagOf, SETTING_NAMES, SETTINGS, type SettingName } from './settings.ts';
import { visibleValue } from '../core/visible.ts';

/** Width in terminal cells of a value that an error shows. */
const MOST_SHOWN = 80;

/** A setting that cannot be used. The message is for the person who typed the setting; the command exits with 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** The type of each kind of setting in the configuration. */
interface Values {
  readonly bytes: number;
  readonly duration: number;
  readonly count: number;
  readonly port: number;
  readonly host: string;
  readonly flag: boolean;
  readonly list: readonly string[];
  readonly path: string;
  readonly text: string;
  readonly secret: string;
}
type Row<Name extends SettingName> = (typeof SETTINGS)[Name];
type ValueOf<Name extends SettingName> = Row<Name>['kind'] extends keyof Values
  ? Values[Row<Name>['kind']]
  : Row<Name>['choices'][number];
/** The type of a setting without value or default. A list is then empty. */
type Missing<Name extends SettingName> = Row<Name>['kind'] extends 'list'
  ? never
  : Row<Name>['default'] extends ''
    ? undefined
    : never;

/** By setting name. Sizes are bytes, durations are milliseconds. */
export type Config = { readonly [Name in SettingName]: ValueOf<Name> | Missing<Name> };

export type Source = 'flag' | 'environment' | 'config file' | 'option' | 'default';

/** Values by setting name, and their source as errors name it. */
export interface Layer {
  readonly source: Source;
  readonly values: Readonly<Record<string, unknown>> | ConfigInput;
}

/** The setting's name in its source, so that the person finds it there. */
function nameIn(source: Source, name: SettingName): string {
  if (source === 'flag') return flagOf(name);
  return source === 'environment' ? environmentOf(name) : name;
}

/**
 * The first layer that has a value wins. A value of null counts as absent.
 * @throws ConfigError
 */
export function resolveConfig(layers: readonly Layer[]): {
  config: Config;
  sources: Record<SettingName, Source>;
} {
  for (const layer of layers) refuseUnknown(layer);
  const config: Record<string, unknown> = {};
  const sources: Record<string, Source> = {};
  for (const name of SETTING_NAMES) {
    const layer = layers.find(({ values }) => (values[name] ?? undefined) !== undefined);
    const value = layer?.values[name] ?? SETTINGS[name].default;
    sources[name] = layer?.source ?? 'default';
    config[name] =
      layer === undefined && value === '' ? emptyOf(name) : readSetting(name, value, sources[name]);
  }
  return { config: Object.freeze(config) as Config, sources: sources as Record<SettingName, Source> };
}

function emptyOf(name: SettingName): unknown {
  return SETTINGS[name].kind === 'list' ? [] : undefined;
}

function refuseUnknown({ source, values }: Layer): void {
  for (const key of Object.keys(values)) {
    if (Object.hasOwn(SETTINGS, key)) continue;
    const shown = visibleValue(key, MOST_SHOWN);
    throw new ConfigError(`unknown setting ${shown} (${source}); see --help for those that exist`);
  }
}

function readSetting(name: SettingName, given: unknown, source: Source): unknown {
  const setting = SETTINGS[name];
  const value = readAs(setting, given);
  if (value !== null) return value;
  const got = setting.isSecret ? 'a value that cannot be used' : visibleValue(given, MOST_SHOWN);
  throw new ConfigError(`${nameIn(source, name)} (${source}): got ${got}; expected ${expectedOf(setting)}`);
}

/** The value as `--print-config` and `/__admin/config` show it. Secrets are hidden. */
export function shownValue(config: Config, name: SettingName): unknown {
  const value = config[name] ?? null;
  if (!SETTINGS[name].isSecret) return value;
  return Array.isArray(value) ? value.map(() => '[redacted]') : value && '[redacted]';
}
