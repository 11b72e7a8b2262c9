// test/docker.test.ts: what the Dockerfile promises, without Docker: its properties are read from its text, its steps
// are done in an empty folder, and its entry point runs as its user.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { environmentOf, SETTING_NAMES } from '../src/settings.ts';
import {
  allowedNames,
  build,
  environmentOfStage,
  execForm,
  instructionsOf,
  moved,
  namesIn,
  parseDockerfile,
  type BuiltStage,
  type Stage,
} from './helpers/dockerfile.ts';

const REPOSITORY = new URL('../', import.meta.url);
const run = promisify(execFile);
const stages = parseDockerfile(await readFile(new URL('Dockerfile', REPOSITORY), 'utf8'));
const allowed = allowedNames(await readFile(new URL('.dockerignore', REPOSITORY), 'utf8'));
const last = stages.at(-1) as Stage;
const environment = environmentOfStage(last);

const BUILD_LIMIT_MS = 240_000;
/** Only root may become another user. */
const isRoot = process.getuid?.() === 0;
const [uid, gid] = onlyText('USER').split(':').map(Number);
const user = isRoot && uid !== undefined && gid !== undefined ? { uid, gid } : {};

/** The text of an instruction that stands exactly once in the last stage. */
function onlyText(keyword: string): string {
  const found = instructionsOf(last, keyword);
  expect(found, `${keyword} stands once`).toHaveLength(1);
  return found[0]?.text ?? '';
}

function healthCommand(): string[] {
  return execForm(onlyText('HEALTHCHECK').replace(/^CMD\s+/, '')) ?? [];
}

describe('the Dockerfile', () => {
  it('has stages from one slim image of a Node that package.json allows and the workflow tests', async () => {
    const images = new Set(stages.map(({ image }) => image));
    expect(images.size).toBe(1);
    const [, major] = /^node:(\d+)-slim$/.exec([...images][0] ?? '') ?? [];
    const workflow = await readFile(new URL('.github/workflows/ci.yml', REPOSITORY), 'utf8');
    expect(workflow).toMatch(new RegExp(`node: \\[.*\\b${major ?? '-'}\\b.*\\]`));
  });

  it('runs as a user that is not root, given as numbers', () => {
    expect(onlyText('USER')).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  });

  it('has one volume, and it is the data folder', () => {
    expect(onlyText('VOLUME')).toBe(environment['XENONFLARE_MOCK_DATA_DIR']);
  });

  it('sets only settings that exist', () => {
    const known = new Set(SETTING_NAMES.map(environmentOf));
    const ours = Object.keys(environment).filter((name) => name.startsWith('XENONFLARE_MOCK_'));
    expect(ours.filter((name) => !known.has(name))).toEqual([]);
  });

  it('listens for everybody on the one exposed port; the admin plane has another, not exposed', () => {
    expect(environment).toMatchObject({
      XENONFLARE_MOCK_HOST: '0.0.0.0',
      XENONFLARE_MOCK_ADMIN_PORT: '4311',
    });
    expect(onlyText('EXPOSE')).toBe(environment['XENONFLARE_MOCK_PORT']);
  });

  it('starts the server and its health check without a shell', () => {
    expect(execForm(onlyText('ENTRYPOINT'))).not.toBeNull();
    expect(healthCommand()[0]).toBe('node');
    expect(instructionsOf(last, 'CMD')).toEqual([]);
  });

  it('installs by the lockfile, without scripts, and at run time without development packages', () => {
    const installs = stages.map((stage) =>
      instructionsOf(stage, 'RUN').filter(({ text }) => /\bnpm (?!run\b)/.test(text)),
    );
    for (const [install, ...more] of installs) {
      expect(more).toEqual([]);
      expect(install?.text).toMatch(/^npm ci .*--ignore-scripts/);
    }
    expect(installs.at(-1)?.[0]?.text).toContain('--omit=dev');
  });

  it('copies exactly what .dockerignore lets through, and fetches nothing from elsewhere', () => {
    const copies = stages.flatMap((stage) => instructionsOf(stage, 'COPY'));
    const fromContext = copies.filter(({ flags }) => flags['from'] === undefined);
    const sources = fromContext.flatMap(({ text }) => text.split(/\s+/).slice(0, -1));
    expect([...new Set(sources)].toSorted()).toEqual(allowed.toSorted());
    expect(stages.flatMap((stage) => instructionsOf(stage, 'ADD'))).toEqual([]);
  });
});

describe('its steps, done in an empty folder', () => {
  let folder: string;
  let built: BuiltStage;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-docker-'));
    await chmod(folder, 0o755); // The other user has to get in.
    const context = join(folder, 'context');
    await mkdir(context);
    const names = await Promise.all(allowed.map((pattern) => namesIn(fileURLToPath(REPOSITORY), pattern)));
    for (const name of names.flat())
      await cp(new URL(name, REPOSITORY), join(context, name), { recursive: true });
    built = await build(stages, { context, folder, environment: npmEnvironment(), canChown: isRoot });
  }, BUILD_LIMIT_MS);

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('leave no development package and no source in the image', async () => {
    const names = await readdir(built.workdir);
    expect(names.filter((name) => !/^openapi.*\.yaml$/.test(name)).toSorted()).toEqual([
      'dist',
      'node_modules',
      'package-lock.json',
      'package.json',
    ]);
    expect(names).toContain('openapi.yaml');
    expect(await readdir(join(built.workdir, 'node_modules'))).not.toContain('typescript');
  });

  it.skipIf(!isRoot)(
    'leave the user nothing to write but the data folder (needs root to be checked)',
    async () => {
      const { stdout } = await run('find', [built.root, '-writable'], user);
      expect(stdout.trim().split('\n')).toEqual([moved('/data', built.root)]);
    },
  );

  it('give a server that is ready, healthy, stores a chunk and ends well on SIGTERM', async () => {
    if (!isRoot) console.warn('not root: the server runs as the user that runs the tests');
    const server = await start(built);
    try {
      const { status } = await fetch(`${server.adminUrl}/ready`);
      expect(status).toBe(200);
      expect(await sendChunk(server.port)).toBe(200);
      // Beyond loopback the plane is on its own port only.
      expect((await fetch(`http://127.0.0.1:${server.port}/__admin/uploads`)).status).toBe(404);
      await run(process.execPath, healthCommand().slice(1), { ...user, env: server.environment });
    } finally {
      server.child.kill('SIGTERM');
      await server.exited;
    }
    expect(server.child.exitCode).toBe(0);
    expect(server.lines).toHaveLength(1);
    await expect(
      run(process.execPath, healthCommand().slice(1), { ...user, env: server.environment }),
    ).rejects.toMatchObject({ code: 1 });
  });
});

/** As the person who runs the tests has it, without what `npm test` adds to it for its own project. */
function npmEnvironment(): NodeJS.ProcessEnv {
  const settings = /^npm_config_(registry|cache|userconfig|globalconfig|.*proxy|cafile|strict_ssl)$/i;
  const kept = Object.entries(process.env).filter(
    ([name]) => name !== 'NODE_ENV' && (!/^npm_/i.test(name) || settings.test(name)),
  );
  return { ...Object.fromEntries(kept), npm_config_prefer_offline: 'true', npm_config_audit: 'false' };
}

interface Running {
  readonly child: ChildProcess;
  readonly port: string;
  readonly adminUrl: string;
  /** As the health check gets it. */
  readonly environment: NodeJS.ProcessEnv;
  readonly lines: readonly string[];
  readonly exited: Promise<unknown>;
}

/** The entry point, in the image's environment but for the ports, which are free ones. */
async function start({ root, workdir, environment: ofImage }: BuiltStage): Promise<Running> {
  const [, ...command] = (execForm(onlyText('ENTRYPOINT')) ?? []).map((part) => moved(part, root));
  const free = { XENONFLARE_MOCK_PORT: '0', XENONFLARE_MOCK_ADMIN_PORT: '0' };
  const child = spawn(process.execPath, command, { cwd: workdir, env: { ...ofImage, ...free }, ...user });
  const exited = once(child, 'exit');
  let errors = '';
  child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => lines.push(line));
  await Promise.race([once(reader, 'line'), exited]);
  if (lines[0] === undefined) throw new Error(`the server did not start: ${errors}`);
  const { url, adminUrl } = JSON.parse(lines[0]) as { url: string; adminUrl: string };
  const adminPort = { XENONFLARE_MOCK_ADMIN_PORT: new URL(adminUrl).port };
  const environmentOfCheck = { ...ofImage, ...adminPort };
  return { child, port: new URL(url).port, adminUrl, environment: environmentOfCheck, lines, exited };
}

async function sendChunk(port: string): Promise<number> {
  const form = new FormData();
  form.set('fileId', 'in-a-container');
  form.set('chunkIndex', '0');
  form.set('totalChunks', '2');
  form.set('file', new Blob(['some bytes']));
  const { status } = await fetch(`http://127.0.0.1:${port}/media/chunks`, { method: 'POST', body: form });
  return status;
}
