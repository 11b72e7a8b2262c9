// test/helpers/dockerfile.ts: reads a Dockerfile as a list of instructions, and does its build with only a folder and `sh`.
//
// Promises: it understands what this project's Dockerfile uses (FROM, WORKDIR, COPY, RUN, ENV) and refuses everything else, so that
// no instruction is silently skipped. Every stage gets a folder that stands for its root; absolute paths of the image are moved
// there.
import { execFile } from 'node:child_process';
import { cp, mkdir, readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';

export interface Instruction {
  readonly keyword: string;
  readonly flags: Readonly<Record<string, string>>;
  /** What follows the flags, on one line. */
  readonly text: string;
}

export interface Stage {
  readonly image: string;
  readonly name: string | null;
  readonly instructions: readonly Instruction[];
}

export interface BuiltStage {
  /** The folder that stands for `/`. */
  readonly root: string;
  readonly workdir: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Instructions that matter only when the image runs. The test itself reads them. */
const RUNTIME_ONLY = new Set(['USER', 'VOLUME', 'EXPOSE', 'HEALTHCHECK', 'ENTRYPOINT']);

const run = promisify(execFile);

export function parseDockerfile(text: string): Stage[] {
  const stages: { image: string; name: string | null; instructions: Instruction[] }[] = [];
  const lines = text
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('#'))
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n');
  for (const line of lines.filter((candidate) => candidate.trim() !== '')) {
    const instruction = parseInstruction(line);
    if (instruction.keyword === 'FROM') {
      const [image = '', , name = null] = instruction.text.split(' ');
      stages.push({ image, name, instructions: [] });
    } else {
      const stage = stages.at(-1);
      if (stage === undefined) throw new Error(`an instruction before FROM: ${line}`);
      stage.instructions.push(instruction);
    }
  }
  return stages;
}

function parseInstruction(line: string): Instruction {
  const [, keyword, given = '', text = ''] = /^([A-Z]+)\s+((?:--\S+\s+)*)(.+)$/.exec(line) ?? [];
  if (keyword === undefined) throw new Error(`not an instruction: ${line}`);
  const flags = given.split(/\s+/).filter((flag) => flag !== '');
  const pairs = flags.map((flag): [string, string] => {
    const [name = '', ...value] = flag.slice(2).split('=');
    return [name, value.join('=')];
  });
  return { keyword, flags: Object.fromEntries(pairs), text: text.trim() };
}

export function instructionsOf(stage: Stage, keyword: string): Instruction[] {
  return stage.instructions.filter((instruction) => instruction.keyword === keyword);
}

/** `["a", "b"]` as a list; null for the shell form. */
export function execForm(text: string): string[] | null {
  if (!text.startsWith('[')) return null;
  const parsed: unknown = JSON.parse(text);
  const isList = Array.isArray(parsed) && parsed.every((item) => typeof item === 'string');
  return isList ? (parsed as string[]) : null;
}

export function environmentOfStage(stage: Stage): Record<string, string> {
  const pairs = instructionsOf(stage, 'ENV').flatMap(({ text }) => text.split(/\s+/));
  return Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );
}

/**
 * The names, or patterns with `*`, that a .dockerignore lets through, when it excludes everything and then lists exceptions.
 * @throws Error for any other .dockerignore
 */
export function allowedNames(dockerignore: string): string[] {
  const lines = dockerignore.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const [first, ...rest] = lines;
  if (first !== '*') throw new Error('.dockerignore must ignore everything first');
  return rest.map((line) => {
    if (/^![\w.*-]+$/.test(line)) return line.slice(1);
    throw new Error(`.dockerignore: only !name or !na*me may follow, got ${line}`);
  });
}

/** Where a path of the image lies in the folder that stands for its root. Other paths, such as /bin/sh, stay as they are. */
export function moved(text: string, root: string): string {
  return text.replaceAll(/(?<![\w./:-])\/(?=(?:app|data)(?:[/\s"]|$))/g, `${root}/`);
}

interface BuildOptions {
  readonly context: string;
  /** An empty folder. */
  readonly folder: string;
  /** For RUN. */
  readonly environment: NodeJS.ProcessEnv;
  readonly canChown: boolean;
}

/** Resolves to the last stage. As in Docker, a stage waits for another stage only where it copies from it. */
export async function build(stages: readonly Stage[], options: BuildOptions): Promise<BuiltStage> {
  const named = new Map<string, Promise<BuiltStage>>();
  const all: Promise<BuiltStage>[] = [];
  for (const [index, stage] of stages.entries()) {
    const building = buildStage(stage, { root: join(options.folder, `stage-${index}`), named, options });
    all.push(building);
    if (stage.name !== null) named.set(stage.name, building);
  }
  const last = (await Promise.all(all)).at(-1);
  if (last === undefined) throw new Error('no stage');
  return last;
}

interface StageBuild {
  readonly root: string;
  /** The stages that came before. */
  readonly named: ReadonlyMap<string, Promise<BuiltStage>>;
  readonly options: BuildOptions;
}

async function buildStage(stage: Stage, stageBuild: StageBuild): Promise<BuiltStage> {
  const { root } = stageBuild;
  let workdir = root;
  await mkdir(root);
  for (const instruction of stage.instructions) {
    if (instruction.keyword === 'WORKDIR') {
      workdir = moved(instruction.text, root);
      await mkdir(workdir, { recursive: true });
    } else {
      await perform(instruction, workdir, stageBuild);
    }
  }
  const environment = Object.entries(environmentOfStage(stage));
  return {
    root,
    workdir,
    environment: Object.fromEntries(environment.map(([name, value]) => [name, moved(value, root)])),
  };
}

async function perform(instruction: Instruction, workdir: string, stageBuild: StageBuild): Promise<void> {
  const { keyword, flags, text } = instruction;
  const { root, named, options } = stageBuild;
  if (keyword === 'COPY') {
    const source = flags['from'] === undefined ? options.context : (await named.get(flags['from']))?.root;
    if (source === undefined) throw new Error(`COPY from an unknown stage: ${text}`);
    await copy(text.split(/\s+/), source, workdir);
  } else if (keyword === 'RUN') {
    // A user who is not root cannot give files away; the rest of the step still happens.
    const prelude = options.canChown ? '' : 'chown() { :; }; ';
    const script = `${prelude}${moved(text, root)}`;
    await run('sh', ['-ec', script], { cwd: workdir, env: options.environment });
  } else if (keyword !== 'ENV' && !RUNTIME_ONLY.has(keyword)) {
    throw new Error(`this builder does not know ${keyword}`);
  }
}

/** The name itself, or the names in the folder that match a pattern with `*`. @throws Error when there is none */
export async function namesIn(folder: string, pattern: string): Promise<string[]> {
  if (!pattern.includes('*')) return [pattern];
  const [before = '', behind = ''] = pattern.split('*');
  const found = await readdir(folder);
  const names = found.filter((name) => name.startsWith(before) && name.endsWith(behind));
  if (names.length === 0) throw new Error(`nothing is called ${pattern}`);
  return names;
}

/**
 * The root of a stage stands for `/`. An absolute source lies below that root, as a source of the context lies below the context.
 */
async function copy(paths: readonly string[], source: string, workdir: string): Promise<void> {
  const target = paths.at(-1) ?? '';
  const names = await Promise.all(paths.slice(0, -1).map((path) => namesIn(source, path)));
  for (const path of names.flat()) {
    const into = target.endsWith('/') ? join(target, basename(path)) : target;
    await cp(join(source, path), resolve(workdir, into), { recursive: true });
  }
}

/** The text of an instruction that must be in the stage exactly once. @throws Error when it is not */
export function onlyTextOf(stage: Stage, keyword: string): string {
  const [only, ...more] = instructionsOf(stage, keyword);
  if (only === undefined || more.length > 0)
    throw new Error(`${keyword} does not stand once in the Dockerfile`);
  return only.text;
}
