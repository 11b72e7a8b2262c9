// toolbox.ts: fetches what the generators need, at pinned versions, into `.generators` of the project and nowhere else.
//
// Promises: a tool that this machine does not have, or cannot fetch, is named with the reason. A tool that is there already at this
// version is not fetched again.
// Must not know: vitest, which generator needs what.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const HERE = join(ROOT, 'test/generators');
export const HOME = join(ROOT, '.generators');

const OPENAPI_GENERATOR = '7.25.0';
const MAVEN_DEPENDENCY = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1';

export const PYTHON = join(HOME, 'python/bin/python');
export const NPM_BIN = join(HOME, 'npm/node_modules/.bin');
export const GENERATOR_JAR = join(HOME, `openapi-generator/openapi-generator-cli-${OPENAPI_GENERATOR}.jar`);
export const JAVA_LIBRARIES = join(HOME, 'java/libraries');

/** Go makes modules read-only by default, and then the folder cannot be removed. */
export const GO_ENV = {
  GOPATH: join(HOME, 'go/path'),
  GOCACHE: join(HOME, 'go/cache'),
  GOFLAGS: '-modcacherw',
};

/** @throws Error with all of its output, when the command fails */
export async function run(
  command: string,
  argv: readonly string[],
  {
    cwd = HOME,
    env = {},
    timeoutMs = 240_000,
  }: { cwd?: string; env?: NodeJS.ProcessEnv; timeoutMs?: number } = {},
): Promise<string> {
  const options = { cwd, env: { ...process.env, ...env }, timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 };
  return new Promise((resolve, reject) => {
    execFile(command, argv, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${command} ${argv.join(' ')}\n${stdout}\n${stderr}\n${error.message}`));
    });
  });
}

export type Tool = 'npm' | 'python' | 'openapi-generator' | 'java' | 'go';

interface Recipe {
  /** Commands that must be on the machine. */
  readonly commands: readonly [string, string][];
  /** What it depends on. When this text changes, it is another version. */
  readonly version: () => Promise<string>;
  /** Fills the folder of its name in `.generators`. */
  readonly fetch: (folder: string) => Promise<unknown>;
}

const ofFile = (name: string) => async () => readFile(join(HERE, name), 'utf8');

const RECIPES: Readonly<Record<Tool, Recipe>> = {
  npm: {
    commands: [['npm', '--version']],
    version: ofFile('npm/package-lock.json'),
    fetch: async (folder) => {
      for (const name of ['package.json', 'package-lock.json'])
        await copyFile(join(HERE, 'npm', name), join(folder, name));
      const argv = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--cache', join(HOME, 'npm-cache')];
      await run('npm', argv, { cwd: folder });
    },
  },
  python: {
    commands: [['python3', '--version']],
    version: ofFile('requirements.txt'),
    fetch: async (folder) => {
      await run('python3', ['-m', 'venv', folder]);
      await run(PYTHON, [
        '-m',
        'pip',
        'install',
        '-q',
        '--no-cache-dir',
        '-r',
        join(HERE, 'requirements.txt'),
      ]);
    },
  },
  'openapi-generator': {
    commands: [
      ['java', '-version'],
      ['mvn', '-version'],
    ],
    version: async () => OPENAPI_GENERATOR,
    fetch: async (folder) =>
      run('mvn', [
        ...MAVEN,
        `${MAVEN_DEPENDENCY}:copy`,
        `-Dartifact=org.openapitools:openapi-generator-cli:${OPENAPI_GENERATOR}`,
        `-DoutputDirectory=${folder}`,
      ]),
  },
  java: {
    commands: [
      ['javac', '-version'],
      ['mvn', '-version'],
    ],
    version: ofFile('java/pom.xml'),
    fetch: async (folder) =>
      run('mvn', [
        ...MAVEN,
        '-f',
        join(HERE, 'java/pom.xml'),
        `${MAVEN_DEPENDENCY}:copy-dependencies`,
        `-DoutputDirectory=${join(folder, 'libraries')}`,
      ]),
  },
  go: {
    commands: [['go', 'version']],
    version: async () => '',
    fetch: async () => undefined,
  },
};

const MAVEN = ['-q', '-B', `-Dmaven.repo.local=${join(HOME, 'm2')}`];

/** Null: it is there. Otherwise what is missing, and why. */
export async function fetchTool(name: Tool): Promise<string | null> {
  const { commands, version, fetch } = RECIPES[name];
  for (const [command, probe] of commands) {
    const isThere = await run(command, [probe], { cwd: ROOT }).then(
      () => true,
      () => false,
    );
    if (!isThere) return `${command}, which this machine does not have`;
  }
  const folder = join(HOME, name);
  const stamp = join(folder, '.version');
  const wanted = createHash('sha256')
    .update(await version())
    .digest('hex');
  if ((await readFile(stamp, 'utf8').catch(() => '')) === wanted) return null;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  try {
    await fetch(folder);
  } catch (error) {
    return `${name}, which cannot be fetched: ${String(error)}`;
  }
  await writeFile(stamp, wanted);
  return null;
}
