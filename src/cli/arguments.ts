// cli/arguments.ts: reads settings from argv, environment and config file (§8), and prints them for `--print-config`.
//
// Promises: anything unknown is a ConfigError that names it and shows no secret (rule K5).
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import {
  ConfigError,
  resolveConfig,
  shownValue,
  type Config,
  type Layer,
  type Source,
} from '../config/config.ts';
import { environmentOf, flagOf, SETTING_NAMES, SETTINGS, type SettingName } from '../config/settings.ts';
import { visible, visibleValue } from '../core/visible.ts';

export interface Invocation {
  readonly command: Command;
  readonly config: Config;
  readonly sources: Record<SettingName, Source>;
  /** A parent process of this command started this process (cli/parent.ts). */
  readonly isChild: boolean;
  readonly wants: 'run' | 'help' | 'version' | 'print-config';
}

/** Width in terminal cells of a text from the command line that an error shows. */
const MOST_SHOWN = 80;
const PREFIX = 'XENONFLARE_MOCK_';
/** Not a setting: the pid of the parent process. A process with another parent ignores it, so it may be inherited. */
export const PARENT = 'XENONFLARE_PARENT_PID';

/** @throws ConfigError */
export async function readInvocation(
  argv: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<Invocation> {
  const { values, positionals } = parse(argv);
  const flags = settingsAmong(values);
  const command = commandIn(positionals, flags);
  const file = values['config'] ?? environment[`${PREFIX}CONFIG`];
  const layers: Layer[] = [
    { source: 'flag', values: flags },
    { source: 'environment', values: fromEnvironment(environment) },
  ];
  if (typeof file === 'string') layers.push({ source: 'config file', values: await readConfigFile(file) });
  const isChild = environment[PARENT] === String(process.ppid);
  return { command, ...resolveConfig(layers), isChild, wants: wantsOf(values) };
}

const COMMANDS = ['serve', 'demo'] as const;
export type Command = (typeof COMMANDS)[number];

function commandIn(
  [first = 'serve', ...extra]: readonly string[],
  flags: Readonly<Record<string, unknown>>,
): Command {
  // In `--api-keys one, two` the lone word `two` is a part of a secret.
  const hasSecret = SETTING_NAMES.some((name) => SETTINGS[name].isSecret && flags[name] !== undefined);
  const shown = (word = ''): string =>
    hasSecret ? 'that is not shown (a secret has no space in it)' : visibleValue(word, MOST_SHOWN);
  const command = COMMANDS.find((known) => known === first);
  if (command === undefined)
    throw new ConfigError(`unknown command ${shown(first)}; there are: ${COMMANDS.join(', ')}`);
  if (extra.length > 0) throw new ConfigError(`unexpected argument ${shown(extra[0])}; see --help`);
  return command;
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
    const [message = ''] = (error as Error).message.split('. ');
    throw new ConfigError(`${visible(message, 2 * MOST_SHOWN)}; see --help`);
  }
}

function isSwitch(name: SettingName): boolean {
  return SETTINGS[name].kind === 'flag';
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
    if (value === '') continue; // Counts as unset, even if the name is unknown.
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
    throw new ConfigError(`--config: ${path} is not JSON${placeIn((error as Error).message)}`);
  }
  throw new ConfigError(`--config: ${path} must hold a JSON object of settings, such as {"port": 4310}`);
}

/** The place where the JSON is broken. The rest of the parser's message may quote the file, and so a secret (rule K5). */
function placeIn(message: string): string {
  const [, place] = /( at position \d+( \(line \d+ column \d+\))?)$/.exec(message) ?? [];
  return place ?? '';
}

function wantsOf(values: Values): Invocation['wants'] {
  if (values['help'] === true) return 'help';
  if (values['version'] === true) return 'version';
  return values['print-config'] === true ? 'print-config' : 'run';
}

export function printedConfig({ config, sources }: Pick<Invocation, 'config' | 'sources'>): string {
  const settings = SETTING_NAMES.map((name) => [
    name,
    { value: shownValue(config, name), source: sources[name] },
  ]);
  return JSON.stringify(Object.fromEntries(settings), null, 2);
}
