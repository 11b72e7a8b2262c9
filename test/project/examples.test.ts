// project/examples.test.ts: the recipes run, and what the cookbook says of them and of the fault language is true.
//
// `UPDATE_COOKBOOK=1 npx vitest run test/project/examples.test.ts` writes the effects table anew.
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OPERATION_NAMES } from '../../src/contract/operations.ts';
import { EFFECT_NAMES, PHASES, specOf, type Effect } from '../../src/faults/effects.ts';
import { explain } from '../../src/faults/explain.ts';
import { readFault } from '../../src/faults/fault.ts';
import { readRulesFile } from '../../src/faults/rules-file.ts';
import { parseRules } from '../../src/faults/rules.ts';
import { startServer, type TestDouble } from '../../src/index.ts';
import { parseMatcher } from '../../src/journal/matcher.ts';
import { parseVerify } from '../../src/journal/verify.ts';
import { curl, hasCurl } from '../helpers/curl.ts';

const ROOT = new URL('../../', import.meta.url);
const COOKBOOK = new URL('docs/cookbook.md', ROOT);
const BUILT = new URL('dist/index.js', ROOT);

const recipes = readdirSync(new URL('examples/recipes', ROOT)).toSorted();
const cookbook = readFileSync(COOKBOOK, 'utf8');

interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function runRecipe(name: string): Promise<Run> {
  const path = fileURLToPath(new URL(`examples/recipes/${name}`, ROOT));
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [path], { timeout: 240_000 }, (_error, stdout, stderr) =>
      resolve({ status: child.exitCode, stdout, stderr }),
    );
  });
}

/** Two at a time: some of them measure time. */
function runAll(names: readonly string[]): Map<string, Promise<Run>> {
  const runs = new Map<string, Promise<Run>>();
  const lanes: Promise<unknown>[] = [Promise.resolve(), Promise.resolve()];
  for (const [at, name] of names.entries()) {
    const run = (lanes[at % 2] ?? Promise.resolve()).then(() => runRecipe(name));
    lanes[at % 2] = run;
    runs.set(name, run);
  }
  return runs;
}

let runs: Map<string, Promise<Run>> | null = null;

/** All of them are started as soon as one is needed. */
function runOf(recipe: string): Promise<Run> {
  if (!existsSync(BUILT)) throw new Error('the recipes use the built package: npm run build');
  runs ??= runAll(recipes);
  return runs.get(recipe) ?? Promise.reject(new Error(`there is no recipe ${recipe}`));
}

/** What the recipe says about itself at its top, without the comment marks. */
function headOf(recipe: string): string {
  const source = readFileSync(new URL(`examples/recipes/${recipe}`, ROOT), 'utf8');
  const lines = source.split('\n');
  const end = lines.findIndex((line) => !line.startsWith('//'));
  return lines
    .slice(0, end)
    .join('\n')
    .replaceAll(/^\/\/ ?/gm, '');
}

function curlsOf(recipe: string): string[] {
  return [...headOf(recipe).matchAll(/^ *(curl (?:[^\n]*\\\n|'[^']*'|[^'\n])*)$/gm)].map(
    ([, command = '']) => command,
  );
}

/** The part of the cookbook about the recipe. */
function sectionOf(recipe: string): string {
  const section = cookbook.split(/^## /m).find((text) => text.startsWith(`${Number(recipe.slice(0, 2))}. `));
  return section ?? '';
}

function fencesIn(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(
    ([, code = '']) => code,
  );
}

function between(begin: string, end: string): string {
  const from = cookbook.indexOf('-->\n', cookbook.indexOf(`<!-- ${begin}`)) + 4;
  return cookbook.slice(from, cookbook.indexOf(`<!-- ${end}`)).trim();
}

function sentencesOf(json: unknown): string[] {
  return parseRules(json, (at) => `rule-${at}`).map((rule) => explain(rule));
}

describe('the cookbook', () => {
  it('has a section, with a link, for every recipe and for nothing else', () => {
    expect(recipes).toHaveLength(10);
    for (const recipe of recipes) expect(sectionOf(recipe)).toContain(`(../examples/recipes/${recipe})`);
    expect(cookbook.match(/^## \d+\. /gm)).toHaveLength(recipes.length);
  });

  it('links to files that exist', () => {
    const links = [...cookbook.matchAll(/\]\(([^)]+)\)/g)].map(([, link = '']) => new URL(link, COOKBOOK));
    expect(links.length).toBeGreaterThan(recipes.length);
    for (const link of links) expect(existsSync(link), link.pathname).toBe(true);
  });

  it('has rules in JSON that can be armed', () => {
    const blocks = fencesIn(cookbook, 'json');
    expect(blocks.length).toBeGreaterThanOrEqual(recipes.length);
    for (const block of blocks) expect(sentencesOf(JSON.parse(block)), block).not.toEqual([]);
  });

  it.each(recipes)('arms the same in process as over HTTP: %s', async (recipe) => {
    const section = sectionOf(recipe);
    const armed = await armedBy(fencesIn(section, 'js').join('\n'));
    expect(armed).toEqual(fencesIn(section, 'json').flatMap((block) => JSON.parse(block) as object[]));
  });

  it('shows faults that are faults', () => {
    const language = cookbook.slice(cookbook.indexOf('## The fault language'));
    const faults = fencesIn(language, '').flatMap((block) => block.trim().split(/\s{2,}/));
    expect(faults).toHaveLength(4);
    for (const fault of faults) expect(readFault(fault), fault).toHaveProperty('fault');
  });

  it("knows what WireMock's names are", () => {
    const rows = [...cookbook.matchAll(/^\| `([A-Z_]{5,})` \| `(.+?)` \|$/gm)];
    expect(rows).toHaveLength(4);
    for (const [, alias, fault] of rows) expect(readFault(alias)).toEqual(readFault(fault));
  });

  it('shows fields that a rule has', () => {
    const rows = [...between('fields table', 'end of fields table').matchAll(/^\| `(.+?)` \|/gm)];
    expect(rows).toHaveLength(11);
    for (const [, field] of rows) {
      expect(sentencesOf(JSON.parse(`{ "fault": "close@response", ${field} }`)), field).toHaveLength(1);
    }
    for (const operation of OPERATION_NAMES) expect(cookbook).toContain(`\`${operation}\``);
  });

  it('has the effects table that is in the code', () => {
    const begin =
      '<!-- effects table: made from src/faults/effects.ts by test/project/examples.test.ts -->\n';
    const [before = '', rest = ''] = cookbook.split(begin);
    const after = rest.slice(rest.indexOf('<!-- end of effects table -->'));
    if (process.env['UPDATE_COOKBOOK'] === '1')
      writeFileSync(COOKBOOK, `${before}${begin}${effectsTable()}\n${after}`);
    else expect(between('effects table', 'end of effects table')).toBe(effectsTable());
  });
});

it('examples/rules.yaml can be given to --rules', async () => {
  const path = fileURLToPath(new URL('examples/rules.yaml', ROOT));
  const rules = readRulesFile(readFileSync(path, 'utf8'), 'rules.yaml');
  const server = await startServer({ rules: path });
  try {
    expect(server.rules.list().map(({ id }) => id)).toEqual(rules.map(({ id }) => id));
    expect(rules.length).toBeGreaterThan(3);
  } finally {
    await server.close();
  }
});

describe.skipIf(!hasCurl)('the curl lines of a recipe arm what the recipe arms', () => {
  let server: TestDouble;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server.close());

  it.each(recipes)('%s', async (recipe) => {
    const demo = server.namespace('demo');
    await demo.reset();
    const commands = curlsOf(recipe);
    expect(commands.length).toBeGreaterThan(0);
    for (const command of commands) {
      const { status, text } = await curl(command.replace('http://127.0.0.1:4310', server.url));
      expect([200, 201], text).toContain(status);
    }
    const armed = demo.rules.list().map((rule) => rule.explain);
    expect(armed).toEqual(
      fencesIn(sectionOf(recipe), 'json').flatMap((json) => sentencesOf(JSON.parse(json))),
    );
    const { stdout, stderr } = await runOf(recipe);
    for (const sentence of armed) expect(stdout, stderr).toContain(sentence);
  });
});

describe('a recipe runs and its assertions hold', () => {
  it.each(recipes)('%s', async (recipe) => {
    const { status, stdout, stderr } = await runOf(recipe);
    expect(status, `${stdout}\n${stderr}`).toBe(0);
    expect(stderr).toBe('');
    expect(stdout.split('\n').length).toBeGreaterThan(3);
  });
});

/** The rules that the code arms; what else it asks of the server has to be valid. */
async function armedBy(code: string): Promise<object[]> {
  const armed: object[] = [];
  const calls = {
    rules: { add: (rules: object | object[]) => armed.push(...[rules].flat()) },
    journal: { expect: parseVerify, wait: parseMatcher },
    state: { import: () => {} },
    clock: { advance: () => {} },
  };
  const server = { ...calls, namespace: () => calls };
  const AsyncFunction = (async () => {}).constructor as new (
    ...args: string[]
  ) => (from: object) => Promise<void>;
  await new AsyncFunction('server', code)(server);
  return armed;
}

function effectsTable(): string {
  const rows = EFFECT_NAMES.map((effect) => {
    const cells = PHASES.map((phase) => phaseCell(effect, phase));
    return `| \`${effect}\` | ${cells.join(' | ')} | ${parametersOf(effect)} | ${(specOf(effect).operations ?? []).map((name) => `\`${name}\``).join(', ')} |`;
  });
  return [`| effect | ${PHASES.join(' | ')} | parameters | only in |`, '|---'.repeat(8) + '|', ...rows].join(
    '\n',
  );
}

function phaseCell(effect: Effect, phase: (typeof PHASES)[number]): string {
  const { phases } = specOf(effect);
  if (!phases.includes(phase)) return '';
  // Asked of the language itself, so that the table is what can be written.
  const isByteTaken = 'fault' in readFault({ effect, phase, atByte: 1, ...sampleOf(effect) });
  return `${phase === phases[0] ? '●' : '○'}${isByteTaken ? ' N' : ''}`;
}

/** Values for the parameters that have to be there. */
function sampleOf(effect: Effect): object {
  const samples = { ms: 1, status: 503, bytesPerSecond: 1, platform: 'youtube' };
  const { shape } = specOf(effect).params;
  return Object.fromEntries(Object.entries(samples).filter(([name]) => Object.hasOwn(shape, name)));
}

function parametersOf(effect: Effect): string {
  const { params, main } = specOf(effect);
  const names = Object.entries(params.shape).map(([name, schema]) => {
    const shown = name === main ? `**\`${name}\`**` : `\`${name}\``;
    return schema.safeParse(undefined).success ? `[${shown}]` : shown;
  });
  return names.join(' ');
}
