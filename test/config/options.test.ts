// config/options.test.ts: the options of `startServer` are those of the table of settings: their types, and what an editor says of each.
import { readFile, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { startServer } from '../../src/index.ts';
import { typeOf } from '../../src/config/setting-kinds.ts';
import { flagOf, SETTING_NAMES, SETTINGS, type SettingName } from '../../src/config/settings.ts';

const OPTIONS = new URL('../../src/config/options.ts', import.meta.url);
const COLUMNS = 110;

/** `UPDATE_OPTIONS=1 npx vitest run test/config/options.test.ts` writes them anew. */
const isUpdate = process.env['UPDATE_OPTIONS'] === '1';

const WRITTEN: Readonly<Partial<Record<string, string>>> = {
  bytes: 'Bytes, or a text such as `64MiB`.',
  duration: 'Milliseconds, or a text such as `30s`.',
  list: 'An array, or a text with commas.',
};

function sentencesOf(name: SettingName): string {
  const { doc, kind, inProcess, default: fallback, least, most } = SETTINGS[name];
  const value = inProcess ?? fallback;
  const bounds = most === undefined ? `At least ${least ?? ''}.` : `From ${least ?? '0'} to ${most}.`;
  return [
    doc,
    WRITTEN[kind],
    least === undefined && most === undefined ? undefined : bounds,
    value === '' ? undefined : `Default: \`${value}\`.`,
    `Flag: \`${flagOf(name)}\`.`,
  ]
    .filter((sentence) => sentence !== undefined)
    .join(' ');
}

/** As a comment, in lines that fit. */
function comment(text: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = `${lines.at(-1) ?? ''} ${word}`;
    if (`   *${line}`.length > COLUMNS) lines.push(` ${word}`);
    else lines[lines.length - 1] = line;
  }
  if (lines.length === 1 && `  /**${lines[0]} */`.length <= COLUMNS) return `  /**${lines[0]} */`;
  return ['  /**', ...lines.map((line) => `   *${line}`), '   */'].join('\n');
}

function optionsText(): string {
  const rows = SETTING_NAMES.map(
    (name) => `${comment(sentencesOf(name))}\n  readonly ${name}?: ${typeOf(SETTINGS[name])} | undefined;`,
  );
  return [
    '// config/options.ts: the options of `startServer`, with the text that an editor shows for each. test/config/options.test.ts',
    '// generates this file from settings.ts and says how: change settings.ts, not this file.',
    '',
    '/** Named as the settings. Values have the type of the setting, or are the text that a person would type. */',
    'export interface ConfigInput {',
    rows.join('\n'),
    '}',
    '',
  ].join('\n');
}

it('options.ts is what the table of settings says', async () => {
  if (isUpdate) await writeFile(OPTIONS, optionsText());
  else expect(await readFile(OPTIONS, 'utf8')).toBe(optionsText());
});

it('every option has a sentence of its own, its default and its flag', () => {
  for (const name of SETTING_NAMES) {
    expect(sentencesOf(name)).toMatch(/^[A-Z`].{10,}\. .*Flag: `--[a-z-]+`\.$/);
    if (SETTINGS[name].default !== '') expect(sentencesOf(name)).toContain('Default: `');
  }
});

/** Whether these compile is what `npm run types` sees: an option of another kind is an error there, or this line is. */
const NONE_OF_ITS_KIND = [
  // @ts-expect-error an object is no port
  { port: { a: 1 } },
  // @ts-expect-error nor is a boolean
  { port: true },
  // @ts-expect-error a choice is one of its words
  { storage: 'tape' },
  // @ts-expect-error there is no such option
  { prot: 1 },
  // @ts-expect-error a number is no address
  { host: 1 },
] satisfies Parameters<typeof startServer>[0][];

it.each([
  ...NONE_OF_ITS_KIND,
  { port: [1] },
  { port: 1.5 },
  { port: -1 },
  { port: '' },
  { port: '0x10' },
  { strict: 1 },
  { seed: 5 },
  { apiKeys: [1] },
  { apiKeys: { length: 0 } },
  { maxFileSize: [5] },
  { maxFileSize: true },
  { grace: [5] },
  { logLevel: ['info'] },
])('%j does not start a server: the option is named', async (options) => {
  const [name = ''] = Object.keys(options);
  await expect(startServer(options as never)).rejects.toThrow(
    new RegExp(`^${name} \\(option\\): got .*; expected |^unknown setting "${name}" \\(option\\)`),
  );
});

it('a value that a bigint, a cycle or a function is, is shown and refused, too', async () => {
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  for (const port of [5n, cycle, () => 1, Symbol('one')])
    await expect(startServer({ port } as never)).rejects.toThrow(/^port \(option\): got .+; expected a port/);
});
