// system/owners.test.ts: two real servers and one data folder (rule D3). Tests that need the ten seconds of a take-over are in
// deep/owners.test.ts.
import { copyFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DoubleClient } from '../helpers/double-client.ts';
import { namespaceRefusal, startNamespaced } from '../helpers/namespaced.ts';
import { startProcess } from '../helpers/process.ts';

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'xenonflare-mock-owners-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

describe.skipIf(namespaceRefusal !== null)(`in two pid namespaces (${namespaceRefusal ?? 'here'})`, () => {
  it('the second server is refused though both are process 1 of one host name, and the first goes on', async () => {
    const first = await startNamespaced('--data-dir', dataDir);
    const second = await startNamespaced('--data-dir', dataDir);
    expect(second.url).toBeNull();
    expect(await second.exitCode).toBe(2);
    expect(second.stderr()).toMatch(/is in use by process 1 on .*--data-dir/);
    expect((await new DoubleClient({ url: first.url ?? '' }).chunk()).status).toBe(200);
  });
});

it('a server whose lock is another’s acknowledges nothing more, says so once, and ends with 1 (D3)', async () => {
  const server = await startProcess(['--data-dir', dataDir]);
  const client = new DoubleClient(server);
  expect((await client.chunk({ total: 2 })).status).toBe(200);
  const path = join(dataDir, 'lock');
  const holder = JSON.parse(await readFile(path, 'utf8')) as object;
  await copyFile(path, `${path}.heir`);
  await writeFile(`${path}.heir`, JSON.stringify({ ...holder, token: 'heir', pid: 77 }));
  await rename(`${path}.heir`, path);
  const { status } = await client.chunk({ index: 1, total: 2 });
  expect([503, 0]).toContain(status); // 0: the server had ended by then.
  expect(await server.exited).toEqual({ code: 1, signal: null });
  expect(server.stderr().match(/was taken over by process 77/g)).toHaveLength(1);
  expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ token: 'heir' });
});
