// deep/owners.test.ts: real servers that take over a data folder from one that they cannot look up (rule D3), at its real pace.
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DoubleClient } from '../helpers/double-client.ts';
import { namespaceRefusal, startNamespaced } from '../helpers/namespaced.ts';
import { startProcess, type ServerProcess } from '../helpers/process.ts';

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'xenonflare-mock-owners-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const bytesOf = async (client: DoubleClient): Promise<string> =>
  (await client.admin('GET uploads/f/content')).text;

describe.skipIf(namespaceRefusal !== null)(`in two pid namespaces (${namespaceRefusal ?? 'here'})`, () => {
  it('a holder that was stopped and goes on acknowledges nothing any more, and ends; what the second stored stays', async () => {
    const first = await startNamespaced('--data-dir', dataDir);
    const old = new DoubleClient({ url: first.url ?? '' });
    expect((await old.chunk({ total: 4, bytes: 'one,' })).status).toBe(200);
    first.signal('SIGSTOP');
    // It arrives while the server is stopped, so the server does this first when it continues.
    const late = old.chunk({ index: 1, total: 4, bytes: 'LATE' });
    const second = await startNamespaced('--data-dir', dataDir);
    const heir = new DoubleClient({ url: second.url ?? '' });
    expect((await heir.chunk({ index: 1, total: 4, bytes: 'two,' })).status).toBe(200);
    first.signal('SIGCONT');
    expect([503, 0]).toContain((await late).status);
    expect(await first.exitCode).toBe(1);
    expect(first.stderr().match(/was taken over by process 1 on/g)).toHaveLength(1);
    expect((await heir.chunk({ index: 2, total: 4, bytes: 'three' })).status).toBe(200);
    expect(await bytesOf(heir)).toBe('one,two,three');
    second.signal('SIGKILL');
    await second.exitCode;
    const third = await startProcess(['--data-dir', dataDir, '--wait-for-lock', '1m']);
    expect(await bytesOf(new DoubleClient(third))).toBe('one,two,three');
  });

  it('a killed holder is taken over after its lock was watched, and the log says what is waited for', async () => {
    const first = await startNamespaced('--data-dir', dataDir);
    first.signal('SIGKILL');
    await first.exitCode;
    // The kernel reuses the number of a namespace. In the new one the holder can be looked up, and is dead.
    const path = join(dataDir, 'lock');
    const holder = JSON.parse(await readFile(path, 'utf8')) as object;
    await writeFile(path, JSON.stringify({ ...holder, pidNamespace: 'pid:[1]' }));
    const tooShort = await startNamespaced('--data-dir', dataDir, '--wait-for-lock', '1s');
    expect(await tooShort.exitCode).toBe(2);
    expect(tooShort.stderr()).toContain('Start with --wait-for-lock 11s or more');
    const second = await startNamespaced('--data-dir', dataDir);
    expect(second.url).not.toBeNull();
    expect(second.stderr()).toMatch(/was locked by process 1 on .*taken over when it does not move for 10 s/);
  });
});

it.each([
  ['before a reboot', 0],
  ['whose clock was five hours ahead', 5 * 3_600],
])('a holder that died %s is taken over', async (_what, aheadSeconds) => {
  const first = await startProcess(['--data-dir', dataDir]);
  expect((await new DoubleClient(first).chunk({ total: 2 })).status).toBe(200);
  await first.kill();
  const path = join(dataDir, 'lock');
  const holder = JSON.parse(await readFile(path, 'utf8')) as object;
  await writeFile(path, JSON.stringify({ ...holder, boot: 'the-boot-before' }));
  const at = Date.now() / 1_000 + aheadSeconds;
  await utimes(path, at, at);
  const second = await startProcess(['--data-dir', dataDir]);
  expect(await new DoubleClient(second).size()).toBe(5);
});

it('a copy of a folder that is in use is another folder: its server starts, and both go on', async () => {
  const first = await startProcess(['--data-dir', join(dataDir, 'original')]);
  const client = new DoubleClient(first);
  expect((await client.chunk({ total: 2 })).status).toBe(200);
  await cp(join(dataDir, 'original'), join(dataDir, 'copy'), { recursive: true, preserveTimestamps: true });
  expect((await stat(join(dataDir, 'copy', 'lock'))).size).toBeGreaterThan(0);
  const second = await startProcess(['--data-dir', join(dataDir, 'copy')]);
  expect(await new DoubleClient(second).size()).toBe(5);
  for (const each of [client, new DoubleClient(second)])
    expect((await each.chunk({ index: 1, total: 2 })).status).toBe(200);
});

/** What the old owner was about to do when it was stopped, and the request that brings it there. */
interface Stopped {
  readonly what: string;
  /** In the notation of fs-stop.mjs. */
  readonly before: string;
  readonly send: (old: DoubleClient) => Promise<{ readonly status: number }>;
}

const chunk1 =
  (bytes: string) =>
  (client: DoubleClient): Promise<{ readonly status: number }> =>
    client.chunk({ index: 1, total: 4, bytes });

const STOPPED: readonly Stopped[] = [
  { what: 'the write of a record', before: 'write /ledgers', send: chunk1('LATE') },
  { what: 'the write of a chunk', before: 'write /main', send: chunk1('LATE') },
  { what: 'the removal of a ledger', before: 'rm .log', send: (old) => old.admin('DELETE uploads/f') },
];

describe.skipIf(process.platform !== 'linux')(
  'a holder that is stopped between its look at the lock and',
  () => {
    it.each(STOPPED)(
      '$what does it when it goes on, and hurts nothing that its successor stored (D3)',
      async ({ before, send }) => {
        const order = join(dataDir, 'order');
        const data = join(dataDir, 'data');
        const tap = `--import=${new URL('../helpers/fs-stop.mjs', import.meta.url).href}`;
        const first = await startProcess(['--data-dir', data], { NODE_OPTIONS: tap, FS_STOP_AT: order });
        const old = new DoubleClient(first);
        expect((await old.chunk({ total: 4, bytes: 'one,' })).status).toBe(200);
        expect((await old.chunk({ fileId: 'whole', bytes: 'content' })).status).toBe(200);
        await hideHolder(join(data, 'lock'));
        await writeFile(order, before);
        const answer = send(old);
        await expect.poll(() => existsSync(order)).toBe(false);
        await expect.poll(() => stateOf(first)).toBe('T');

        const second = await startProcess(['--data-dir', data]);
        const heir = new DoubleClient(second);
        expect((await chunk1('two,')(heir)).status).toBe(200);
        first.signal('SIGCONT');
        expect([503, 0]).toContain((await answer).status);
        expect((await first.exited).code).toBe(1);
        expect(await bytesOf(heir)).toBe('one,two,');
        expect((await heir.chunk({ index: 2, total: 4, bytes: 'three' })).status).toBe(200);
        expect(await bytesOf(heir)).toBe('one,two,three');

        await second.kill();
        const third = await startProcess(['--data-dir', data]);
        const last = new DoubleClient(third);
        expect(await bytesOf(last)).toBe('one,two,three');
        expect((await last.chunk({ index: 3, total: 4, bytes: '.' })).status).toBe(200);
        for (const fileId of ['f', 'whole'])
          expect((await new DoubleClient(third, 'key').finalize(fileId)).status).toBe(201);
      },
    );
  },
);

/** Its lock stays the file that it made, and says that the holder cannot be looked up from here. */
async function hideHolder(path: string): Promise<void> {
  const holder = JSON.parse(await readFile(path, 'utf8')) as object;
  await writeFile(path, JSON.stringify({ ...holder, boot: 'of-another-machine' }));
}

function stateOf({ pid }: ServerProcess): string | undefined {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.[0];
}
