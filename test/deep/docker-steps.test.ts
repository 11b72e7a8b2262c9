// test/deep/docker-steps.test.ts: the steps of the Dockerfile, done in an empty folder without Docker. It checks what they leave,
// and that the entry point runs as its user. It installs the package twice, as the image does.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  allowedNames,
  build,
  execForm,
  moved,
  namesIn,
  onlyTextOf,
  parseDockerfile,
  type BuiltStage,
  type Stage,
} from '../helpers/dockerfile.ts';

const REPOSITORY = new URL('../../', import.meta.url);
const run = promisify(execFile);
const stages = parseDockerfile(await readFile(new URL('Dockerfile', REPOSITORY), 'utf8'));
const allowed = allowedNames(await readFile(new URL('.dockerignore', REPOSITORY), 'utf8'));
const last = stages.at(-1) as Stage;

const BUILD_LIMIT_MS = 600_000;
/** Only root may become another user. */
const isRoot = process.getuid?.() === 0;
const [uid, gid] = onlyTextOf(last, 'USER').split(':').map(Number);
const user = isRoot && uid !== undefined && gid !== undefined ? { uid, gid } : {};

function healthCommand(): string[] {
  return execForm(onlyTextOf(last, 'HEALTHCHECK').replace(/^CMD\s+/, '')) ?? [];
}

describe('its steps, done in an empty folder', () => {
  let folder: string;
  let built: BuiltStage;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-docker-'));
    await chmod(folder, 0o755); // The other user must be able to enter it.
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
      // Beyond loopback the admin plane is only on its own port.
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

/** The environment of the person who runs the tests, without what `npm test` adds for this project. */
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
  /** Asks as the health check does. */
  readonly environment: NodeJS.ProcessEnv;
  readonly lines: readonly string[];
  readonly exited: Promise<unknown>;
}

/** The entry point, in the image's environment except for the ports, which are free ones. */
async function start({ root, workdir, environment: ofImage }: BuiltStage): Promise<Running> {
  const [, ...command] = (execForm(onlyTextOf(last, 'ENTRYPOINT')) ?? []).map((part) => moved(part, root));
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
