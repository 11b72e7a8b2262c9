// system/package-gone.test.ts: a server has read everything that it needs of its own files before it is ready (D8). Afterwards an
// upgrade or `npm ci` may replace the package, and the process may have no free descriptor.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { ask, finalize, sendChunk, temporaryFolder } from '../helpers/app.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const NEEDED = ['dist', 'package.json', 'openapi.yaml', 'openapi-admin.yaml'];
const MP4 = Buffer.concat([
  Buffer.from([0, 0, 0, 24]),
  Buffer.from('ftypmp42\0\0\0\0mp42isom'),
  Buffer.alloc(500, 5),
]);

async function copyOfPackage(): Promise<string> {
  const folder = await temporaryFolder();
  for (const name of NEEDED) await cp(join(ROOT, name), join(folder, name), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

const FLAGS = '--port 0 --storage memory --media-check content --log-level error';

const COMMAND = (folder: string): string[] => [
  join(folder, 'dist/cli/launch.cjs'),
  'serve',
  ...FLAGS.split(' '),
];

const IN_PROCESS = (folder: string): string[] => {
  const index = pathToFileURL(join(folder, 'dist/index.js')).href;
  const options = JSON.stringify({ mediaCheck: 'content', logLevel: 'error' });
  const program = `import { startServer } from '${index}';
    const { url } = await startServer(${options}); console.log(JSON.stringify({ url }));`;
  return ['--input-type=module', '-e', program];
};

it.each([
  ['the command', COMMAND],
  ['startServer', IN_PROCESS],
] as const)(
  '%s: every part of a server works whose package is gone since it is ready (D8)',
  async (_name, argvOf) => {
    const folder = await copyOfPackage();
    const child = spawn(process.execPath, argvOf(folder), { stdio: ['ignore', 'pipe', 'pipe'] });
    const exited = once(child, 'exit');
    onTestFinished(async () => {
      child.kill('SIGKILL');
      await exited;
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const [ready] = (await Promise.race([
      once(createInterface(child.stdout), 'line'),
      exited.then(() => Promise.reject(new Error(said))),
    ])) as [string];
    const server = JSON.parse(ready) as { url: string };
    await rm(folder, { recursive: true });

    expect((await ask(server, '/media/chunks?fileId=f', { key: 'k' })).status).toBe(200);
    expect((await sendChunk(server, { fileId: 'f', bytes: MP4, key: 'k' })).status).toBe(200);
    expect((await finalize(server, 'f')).status).toBe(201);
    const exchanges = await ask(server, '/__admin/requests', { key: 'k' });
    const { requests } = JSON.parse(exchanges.text) as { requests: { contract: object }[] };
    expect(requests.map(({ contract }) => contract)).toEqual(
      Array.from({ length: 3 }, () => ({ request: [], response: [] })),
    );
    const headers = { 'content-type': 'application/json' };
    for (const path of [
      'docs',
      'docs-admin',
      'docs/page.js',
      'docs/page.css',
      'openapi.yaml',
      'openapi-admin.yaml',
      'metrics',
      'config',
      'state',
    ])
      expect([path, (await ask(server, `/__admin/${path}`, { key: 'k' })).status]).toEqual([path, 200]);
    const rule = JSON.stringify({ id: 'r', fault: 'status@headers:503' });
    const armed = await ask(server, '/__admin/rules', { method: 'POST', key: 'k', headers, body: rule });
    expect(armed.status).toBe(201);
    expect((await ask(server, '/media/chunks?fileId=f', { key: 'k' })).status).toBe(503);
    const verified = await ask(server, '/__admin/verify', { method: 'POST', key: 'k', headers, body: '{}' });
    expect(verified.status).toBe(200);
    expect(said).toBe('');
  },
);
