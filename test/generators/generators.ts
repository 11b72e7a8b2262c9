// generators.ts: the client generators that are tested with the contract: how each makes its client with its defaults, and how its
// program in uses/ is built and started.
//
// Must not know: vitest, the server.
import { copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import {
  GENERATOR_JAR,
  GO_ENV,
  HERE,
  HOME,
  JAVA_LIBRARIES,
  NPM_BIN,
  PYTHON,
  ROOT,
  run,
  type Tool,
} from './toolbox.ts';

export interface Generator {
  readonly name: string;
  readonly tools: readonly Tool[];
  /** Generates from the document and compiles, in a new folder. Resolves to the command that starts the use. */
  readonly build: (document: string) => Promise<readonly [string, ...string[]]>;
}

/** It lies below the packages that the generated TypeScript imports, so that they are found. */
const NPM_WORK = join(HOME, 'npm/work');

async function newFolder(path: string): Promise<string> {
  await rm(path, { recursive: true, force: true });
  await mkdir(path, { recursive: true });
  return path;
}

async function useOf(name: string, folder: string, as = name): Promise<string> {
  const path = join(folder, as);
  await copyFile(join(HERE, 'uses', name), path);
  return path;
}

/** The compiler options of a client team: everything is checked, including the generated files. */
const TSCONFIG = {
  compilerOptions: {
    strict: true,
    noEmit: true,
    target: 'ES2023',
    lib: ['ES2023', 'DOM', 'DOM.Iterable'],
    module: 'ESNext',
    moduleResolution: 'Bundler',
    allowImportingTsExtensions: true,
    typeRoots: [join(ROOT, 'node_modules/@types')],
    types: ['node'],
    skipLibCheck: true,
  },
};

async function compileTypeScript(use: string, folder: string): Promise<readonly [string, ...string[]]> {
  const entry = await useOf(use, folder);
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ ...TSCONFIG, files: [use] }));
  await run(process.execPath, [join(HOME, 'npm/node_modules/typescript/bin/tsc'), '-p', folder]);
  const bundle = await rolldown({ input: entry, platform: 'node' });
  const file = join(folder, 'use.mjs');
  await bundle.write({ file, format: 'esm' });
  await bundle.close();
  return [process.execPath, file];
}

async function openapiGenerator(
  target: string,
  document: string,
  options: readonly string[] = [],
): Promise<string> {
  const folder = await newFolder(join(HOME, 'work', `openapi-generator-${target}`));
  await run('java', [
    '-jar',
    GENERATOR_JAR,
    'generate',
    '-i',
    document,
    '-g',
    target,
    '-o',
    folder,
    ...options,
  ]);
  return folder;
}

async function javaFilesIn(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true });
  return found.filter((name) => name.endsWith('.java')).map((name) => join(folder, name));
}

export const GENERATORS: readonly Generator[] = [
  {
    name: 'openapi-typescript with openapi-fetch',
    tools: ['npm'],
    build: async (document) => {
      const folder = await newFolder(join(NPM_WORK, 'openapi-fetch'));
      const types = join(folder, 'openapi-typescript/client.ts');
      await run(join(NPM_BIN, 'openapi-typescript'), [document, '-o', types]);
      return compileTypeScript('openapi-fetch.ts', folder);
    },
  },
  {
    name: 'hey-api',
    tools: ['npm'],
    build: async (document) => {
      const folder = await newFolder(join(NPM_WORK, 'hey-api'));
      const argv = ['-i', document, '-o', join(folder, 'hey-api'), '-c', '@hey-api/client-fetch'];
      await run(join(NPM_BIN, 'openapi-ts'), argv, { cwd: folder });
      return compileTypeScript('hey-api.ts', folder);
    },
  },
  {
    name: 'openapi-python-client',
    tools: ['python'],
    build: async (document) => {
      const folder = await newFolder(join(HOME, 'work/openapi-python-client'));
      // `--fail-on-warning`: without it the generator only warns about what it leaves out.
      const argv = [
        'generate',
        '--path',
        document,
        '--output-path',
        join(folder, 'client'),
        '--meta',
        'none',
      ];
      const PATH = `${join(HOME, 'python/bin')}:${process.env['PATH'] ?? ''}`;
      await run(PYTHON, ['-m', 'openapi_python_client', ...argv, '--fail-on-warning'], { env: { PATH } });
      return [PYTHON, await useOf('openapi_python_client.py', folder, 'use.py')];
    },
  },
  {
    name: 'openapi-generator for Python',
    tools: ['openapi-generator', 'python'],
    build: async (document) => {
      const folder = await openapiGenerator('python', document);
      return [PYTHON, await useOf('openapi_generator.py', folder, 'use.py')];
    },
  },
  {
    name: 'openapi-generator for Java',
    tools: ['openapi-generator', 'java'],
    build: async (document) => {
      const folder = await openapiGenerator('java', document);
      const use = await useOf('OpenapiGenerator.java', folder);
      const classes = await newFolder(join(folder, 'classes'));
      const sources = [...(await javaFilesIn(join(folder, 'src/main/java'))), use];
      await run('javac', ['-nowarn', '-d', classes, '-cp', `${JAVA_LIBRARIES}/*`, ...sources]);
      return ['java', '-cp', `${classes}:${JAVA_LIBRARIES}/*`, 'OpenapiGenerator'];
    },
  },
  {
    name: 'openapi-generator for Go',
    tools: ['openapi-generator', 'go'],
    build: async (document) => {
      const folder = await openapiGenerator('go', document, [
        '--git-host',
        'example.test',
        '--git-user-id',
        'x',
        '--git-repo-id',
        'client',
      ]);
      const program = await newFolder(join(folder, 'use'));
      await useOf('openapi_generator.go', program, 'main.go');
      const binary = join(program, 'use.bin');
      await run('go', ['build', '-o', binary, './use'], { cwd: folder, env: GO_ENV });
      return [binary];
    },
  },
];
