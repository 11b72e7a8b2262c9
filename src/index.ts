// index.ts: runs the server inside your own process: `const server = await startServer({ port: 0 })`.
//
// Promises: the options are those of the command line, with camelCase names. The defaults suit tests: a free port, memory
// storage and no log. Nothing is read from the environment or from a config file.
import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import { openServer, type Server, type ServerOptions } from './app.ts';
import { ConfigError, resolveConfig, type Config } from './config/config.ts';
import { crashRefusalOf } from './faults/crash.ts';
import { createDouble, type TestDouble } from './control/in-process.ts';
import type { ParseOptions, Rule } from './faults/rules.ts';
import { DEFAULT_FIXTURES, parseFixtures, type Fixtures } from './media/accounts.ts';
import type { ConfigInput } from './config/options.ts';
import { flagOf, SETTING_NAMES, SETTINGS } from './config/settings.ts';
import { openLog, type Log } from './telemetry/telemetry.ts';

export type { ResetScope, Settled } from './control/namespace-commands.ts';
export type { ScrubFinding, ScrubView } from './control/scrubs.ts';
export type { EntryDetails, UploadDetails, UploadView } from './control/namespace-queries.ts';
export type { ClockView } from './core/clock.ts';
export type { ConfigInput } from './config/options.ts';
export type { NamespaceDouble, TestDouble } from './control/in-process.ts';
export type { RuleInput } from './faults/rule-input.ts';
export type { RuleView } from './faults/rule-set.ts';
export type { Verified } from './integrity/content-verifier.ts';
export type { DamagedChunk } from './integrity/stored-content.ts';
export type { JournalEvent } from './journal/event-feed.ts';
export type { Exchange } from './journal/exchange.ts';
export type { ExchangeInFlight, InFlightMatcher } from './journal/in-flight.ts';
export type { JournalMatcher } from './journal/matcher.ts';
export type { Verdict, VerifyRequest } from './journal/verify.ts';

export const version = (createRequire(import.meta.url)('../package.json') as { version: string }).version;

/** The defaults for tests: a free port, memory storage and no log. */
const TEST_DEFAULTS = Object.fromEntries(
  SETTING_NAMES.flatMap((name) => {
    const { inProcess } = SETTINGS[name];
    return inProcess === undefined ? [] : [[name, inProcess]];
  }),
);

/**
 * Starts a server that can answer when the promise resolves.
 * @throws ConfigError for an option that cannot be used; Error when the port or the data folder is taken
 */
export async function startServer(options: ConfigInput = {}): Promise<TestDouble> {
  const resolved = resolveConfig([
    { source: 'option', values: options },
    { source: 'default', values: TEST_DEFAULTS },
  ]);
  refuseCommandOnly(resolved.config);
  return createDouble(await startWith(resolved, openLog(resolved.config.logLevel)));
}

/** Refuses options that would kill or restart the process, because the process is not the server's own. */
function refuseCommandOnly({ allowCrash, restartAfter }: Config): void {
  const name = allowCrash ? 'allowCrash' : restartAfter === undefined ? null : 'restartAfter';
  if (name === null) return;
  throw new ConfigError(
    `${name}: only the command has it (xenonflare-mock serve ${flagOf(name)}): in process it would be your own process`,
  );
}

/** As `startServer`, for a configuration that is already resolved. */
export async function startWith(
  { config, sources, crash }: Pick<ServerOptions, 'config' | 'sources' | 'crash'>,
  { logger, droppedLines }: Pick<Log, 'logger' | 'droppedLines'>,
): Promise<Server> {
  if (config.noJournal && config.journalFile !== undefined)
    throw new ConfigError('journalFile: there is no journal to keep with noJournal; drop one of them');
  const fixtures = await readFixtures(config.fixtures);
  const rules = await readRules(config.rules, {
    crashRefusal: crashRefusalOf({ config, crash }),
    isJournalMissing: config.noJournal,
  });
  const apiKeys = [...config.apiKeys, ...(await readKeys(config.apiKeysFile))];
  return openServer({
    config: { ...config, apiKeys },
    sources,
    crash,
    fixtures,
    rules,
    logger,
    droppedLines,
    version,
  });
}

async function readFixtures(path: string | undefined): Promise<Fixtures> {
  if (path === undefined) return DEFAULT_FIXTURES;
  const text = await readSettingFile(path, 'fixtures');
  try {
    return parseFixtures(JSON.parse(text), path);
  } catch (error) {
    const { message } = error as Error;
    throw new ConfigError(
      error instanceof SyntaxError ? `fixtures: ${path} is not JSON: ${message}` : message,
    );
  }
}

async function readRules(path: string | undefined, options: ParseOptions): Promise<Rule[]> {
  if (path === undefined) return [];
  const text = await readSettingFile(path, 'rules');
  // Loaded only here, because it brings a YAML parser that few starts need.
  const { readRulesFile } = await import('./faults/rules-file.ts');
  try {
    return readRulesFile(text, path, options);
  } catch (error) {
    throw new ConfigError(`rules: ${(error as Error).message}`);
  }
}

async function readKeys(path: string | undefined): Promise<string[]> {
  if (path === undefined) return [];
  const lines = (await readSettingFile(path, 'apiKeysFile')).split('\n').map((line) => line.trim());
  const keys = lines.filter((line) => line !== '' && !line.startsWith('#'));
  // With no keys, the server would accept every key (rule K2).
  if (keys.length === 0) throw new ConfigError(`apiKeysFile: ${path} holds no key; put one a line`);
  return keys;
}

async function readSettingFile(path: string, setting: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`${setting}: ${path} cannot be read: ${(error as Error).message}`);
  }
}
