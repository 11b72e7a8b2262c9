// cli/help.ts: `--help`, made from the table of settings.
//
// Promises: flags are grouped, each with its unit and default. No line is wider than 80 columns.
import { GROUPS } from '../config/setting-kinds.ts';
import { COMMAND_FLAGS, flagOf, SETTING_NAMES, SETTINGS, type SettingName } from '../config/settings.ts';

const COLUMNS = 80;
/** Column where the sentence of a flag begins. */
const INDENT = 31;

const HEAD = `xenonflare-mock: reference server and test double of the Xenonflare
media-upload API

Usage: xenonflare-mock [serve] [flags]   runs the server
       xenonflare-mock demo              uploads 200 MiB, kills its server half
                                         way, resumes, compares the bytes

A flag has one name everywhere: --max-file-size is XENONFLARE_MOCK_MAX_FILE_SIZE
in the environment, and maxFileSize in the JSON file of --config and among the
options of startServer(). Flags win over the environment, that over the file.

SIZE      bytes: 1000000, 64KiB, 5GiB (1024), 5GB (1000)
DURATION  milliseconds: 500, or with a unit: 500ms, 30s, 15m, 24h, 7d
X,X       a list, with commas`;

export function helpText(): string {
  const groups = Object.entries(GROUPS).map(([group, title]) => {
    const names = SETTING_NAMES.filter((name) => SETTINGS[name].group === group);
    return [`${title}:`, ...names.map(settingHelp)].join('\n');
  });
  const command = COMMAND_FLAGS.map(({ flag, doc }) => row(flag, doc));
  return [HEAD, ...groups, ['The command:', ...command].join('\n')].join('\n\n');
}

function settingHelp(name: SettingName): string {
  const { kind, placeholder, doc, default: fallback } = SETTINGS[name];
  const shown = fallback === '' || kind === 'flag' ? '' : ` [${fallback}]`;
  return row(`${flagOf(name)} ${placeholder}`, `${doc.replaceAll('`', '')}${shown}`);
}

/** The flag with its sentence beside it, or below it if the flag is too long. */
function row(flag: string, sentence: string): string {
  const lines = wrapped(sentence, COLUMNS - INDENT).map((line) => `${' '.repeat(INDENT)}${line}`);
  const head = `  ${flag}`.trimEnd();
  if (head.length > INDENT - 2) return [head, ...lines].join('\n');
  return [head.padEnd(INDENT) + (lines[0] ?? '').slice(INDENT), ...lines.slice(1)].join('\n');
}

function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && `${line} ${word}`.length > columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
