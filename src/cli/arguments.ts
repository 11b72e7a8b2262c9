// cli/arguments.ts: argv, environment and config file → settings (§8). `--help` and `--print-config` are made from config.ts.
//
// Promises: what is not understood is a ConfigError that names it.
// Must not know: what the settings do.
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { ConfigError, resolveConfig, shownValue, type Config, type Layer, type Source } from '../config.ts';
import { environmentOf, flagOf, SETTING_NAMES, SETTINGS, type SettingName } from '../settings.ts';

export interface Invocation {
  readonly command: string;
  readonly config: Config;
  readonly sources: Record<SettingName, Source>;
  /** A parent process of ours started this one (cli/parent.ts). */
  readonly isChild: boolean;
  readonly wants: 'run' | 'help' | 'version' | 'print-config';
}

const PREFIX = 'XENONFLARE_MOCK_';
/** No setting: the pid of the process that holds this one. Of another process it means nothing, so that it may be inherited. */
export const PARENT = 'XENONFLARE_PARENT_PID';

/** @throws ConfigError */
export async function readInvocation(
  argv: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<Invocation> {
  const { values, positionals } = parse(argv);
  const [command = 'serve', ...extra] = positionals;
  if (extra.length > 0) throw new ConfigError(`unexpected argument ${JSON.stringify(extra[0])}; see --help`);
  const flags = settingsAmong(values);
  const file = values['config'] ?? environment[`${PREFIX}CONFIG`];
  const layers: Layer[] = [
    { source: 'flag', values: flags },
    { source: 'environment', values: fromEnvironment(environment) },
  ];
  if (typeof file === 'string') layers.push({ source: 'config file', values: await readConfigFile(file) });
  const isChild = environment[PARENT] === String(process.ppid);
  return { command, ...resolveConfig(layers), isChild, wants: wantsOf(values) };
}

type Values = Readonly<Record<string, string | boolean | undefined>>;

function parse(argv: readonly string[]): { values: Values; positionals: string[] } {
  const options: Record<string, { type: 'string' | 'boolean'; short?: string }> = {
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean' },
    'print-config': { type: 'boolean' },
    config: { type: 'string' },
  };
  for (const name of SETTING_NAMES)
    options[flagOf(name).slice(2)] = { type: isSwitch(name) ? 'boolean' : 'string' };
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true }) as {
      values: Values;
      positionals: string[];
    };
  } catch (error) {
    throw new ConfigError(`${(error as Error).message.split('. ')[0]}; see --help`);
  }
}

function isSwitch(name: SettingName): boolean {
  return SETTINGS[name].placeholder === '';
}

function settingsAmong(values: Values): Record<string, unknown> {
  return Object.fromEntries(SETTING_NAMES.map((name) => [name, values[flagOf(name).slice(2)]]));
}

function fromEnvironment(environment: NodeJS.ProcessEnv): Record<string, unknown> {
  const byVariable = new Map<string, SettingName>(SETTING_NAMES.map((name) => [environmentOf(name), name]));
  const values: Record<string, unknown> = {};
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith(PREFIX) || variable === `${PREFIX}CONFIG`) continue;
    const name = byVariable.get(variable);
    if (name === undefined)
      throw new ConfigError(`unknown environment variable ${variable}; see --help for those that exist`);
    values[name] = value;
  }
  return values;
}

async function readConfigFile(path: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, 'utf8').catch((error: Error) => {
    throw new ConfigError(`--config: ${path} cannot be read: ${error.message}`);
  });
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return { ...parsed };
  } catch (error) {
    throw new ConfigError(`--config: ${path} is not JSON: ${(error as Error).message}`);
  }
  throw new ConfigError(`--config: ${path} must hold a JSON object of settings, such as {"port": 4310}`);
}

function wantsOf(values: Values): Invocation['wants'] {
  if (values['help'] === true) return 'help';
  if (values['version'] === true) return 'version';
  return values['print-config'] === true ? 'print-config' : 'run';
}

export function helpText(): string {
  const lines = SETTING_NAMES.map((name) => {
    const { default: fallback, placeholder, sentence } = SETTINGS[name];
    const shown = fallback === '' || isSwitch(name) ? '' : ` [${fallback}]`;
    return `  ${`${flagOf(name)} ${placeholder}`.padEnd(32)} ${sentence}${shown}`;
  });
  return [
    'xenonflare-mock: reference server and test double of the Xenonflare media-upload API',
    '',
    'Usage: xenonflare-mock [serve] [flags]   runs the server',
    '       xenonflare-mock demo              uploads 200 MiB, kills its server half way, resumes, compares the bytes',
    '',
    'Flags (each also as an environment variable, --max-file-size as XENONFLARE_MOCK_MAX_FILE_SIZE,',
    'and as a key of a JSON file given with --config, there as maxFileSize):',
    '',
    ...lines,
    `  ${'--config FILE'.padEnd(32)} JSON file with settings. Flags and environment win over it.`,
    `  ${'--print-config'.padEnd(32)} Prints every setting, its value and where it came from, and ends.`,
    `  ${'--version'.padEnd(32)} Prints the version and ends.`,
    `  ${'-h, --help'.padEnd(32)} Prints this and ends.`,
    '',
    'Sizes: 1000000, 64MiB, 5GiB. Durations: 500ms, 30s, 24h. Lists: with commas.',
  ].join('\n');
}

export function printedConfig({ config, sources }: Pick<Invocation, 'config' | 'sources'>): string {
  const settings = SETTING_NAMES.map((name) => [
    name,
    { value: shownValue(config, name), source: sources[name] },
  ]);
  return JSON.stringify(Object.fromEntries(settings), null, 2);
}
