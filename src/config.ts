// config.ts: settings from flags, environment, config file and defaults into one configuration.
//
// Promises: flags > environment > config file > defaults; an unknown key or a bad value is a ConfigError that names the
// key, where it came from, what was got and what was expected. The result is frozen.
// Must not know: what the settings are for; it reads no environment and no file itself.
import type { z } from 'zod';
import { environmentOf, flagOf, SETTING_NAMES, SETTINGS, type SettingName } from './settings.ts';
import { list } from './units.ts';

/** A setting that cannot be used. The message is for the person who typed it; the command exits with 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

export type Config = Readonly<{ [Name in SettingName]: z.output<(typeof SETTINGS)[Name]['type']> }>;
/** What a program may pass: real values, or what a person would type. */
export type ConfigInput = {
  readonly [Name in SettingName]?: z.input<(typeof SETTINGS)[Name]['type']> | undefined;
};
export type Source = 'flag' | 'environment' | 'config file' | 'option' | 'default';

/** Values by setting name, and what to call their place in an error. */
export interface Layer {
  readonly source: Source;
  readonly values: Readonly<Record<string, unknown>>;
}

/** What a setting is called where it came from: what the person has to look for. */
function nameIn(source: Source, name: SettingName): string {
  if (source === 'flag') return flagOf(name);
  return source === 'environment' ? environmentOf(name) : name;
}

/**
 * The first layer that has a value wins.
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
    const layer = layers.find(({ values }) => values[name] !== undefined);
    const fallback = SETTINGS[name].default;
    const value = layer === undefined && fallback === '' ? emptyOf(name) : (layer?.values[name] ?? fallback);
    sources[name] = layer?.source ?? 'default';
    config[name] = parseSetting(name, value, sources[name]);
  }
  return { config: Object.freeze(config) as Config, sources: sources as Record<SettingName, Source> };
}

function emptyOf(name: SettingName): unknown {
  return SETTINGS[name].type === list ? [] : undefined;
}

function refuseUnknown({ source, values }: Layer): void {
  for (const key of Object.keys(values)) {
    if (Object.hasOwn(SETTINGS, key)) continue;
    throw new ConfigError(
      `unknown setting ${JSON.stringify(key)} (${source}); see --help for those that exist`,
    );
  }
}

function parseSetting(name: SettingName, value: unknown, source: Source): unknown {
  const { type, isSecret } = SETTINGS[name];
  const result = type.safeParse(value);
  if (result.success) return result.data;
  const got = isSecret ? 'a value' : JSON.stringify(value);
  const expected = result.error.issues.map((issue) => issue.message).join('; ');
  throw new ConfigError(`${nameIn(source, name)} (${source}): got ${got}; ${expected}`);
}

/** The value as `--print-config` and `/__admin/config` may show it: secrets are not. */
export function shownValue(config: Config, name: SettingName): unknown {
  const value = config[name] ?? null;
  if (!SETTINGS[name].isSecret) return value;
  return Array.isArray(value) ? value.map(() => '[redacted]') : value && '[redacted]';
}
