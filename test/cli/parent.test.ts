// parent.test.ts: with `--restart-after`, a server that is killed comes back on its port, and a server that ends by itself does
// not.
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { eventually, temporaryFolder } from '../helpers/app.ts';
import { runToEnd, startProcess, type ServerProcess } from '../helpers/process.ts';

/** The process that serves. Linux. */
async function childOf({ pid }: ServerProcess): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return Number(children.trim().split(' ')[0]);
}

const uptime = async ({ adminUrl }: ServerProcess): Promise<boolean> =>
  fetch(`${adminUrl}/ready`).then(
    ({ ok }) => ok,
    () => false,
  );

describe('a server that is to be started again', () => {
  it('is, when somebody kills it, with its admin port; its parent ends with the parent’s own code', async () => {
    const flags = ['--restart-after', '0s', '--admin-port', '0', '--data-dir', await temporaryFolder()];
    const server = await startProcess(flags);
    const first = await childOf(server);
    process.kill(first, 'SIGKILL');
    const second = await eventually(
      () => childOf(server),
      (pid) => pid > 0 && pid !== first,
    );
    expect(second).not.toBe(first);
    expect(
      await eventually(
        () => uptime(server),
        (isThere) => isThere,
      ),
    ).toBe(true);
    server.signal('SIGINT');
    expect(await server.exited).toEqual({ code: 0, signal: null });
    expect(server.stdout().trim().split('\n')).toHaveLength(1);
  });

  it('ends at once when it is told to while it is down', async () => {
    const server = await startProcess(['--restart-after', '1h', '--storage', 'memory']);
    process.kill(await childOf(server), 'SIGKILL');
    await eventually(
      async () => server.stderr(),
      (text) => text.includes('is started again'),
    );
    server.signal('SIGTERM');
    expect(await server.exited).toEqual({ code: 0, signal: null });
  });

  it('ends with its parent, however that ends', async () => {
    const server = await startProcess(['--restart-after', '0s', '--storage', 'memory']);
    await server.kill();
    expect(
      await eventually(
        () => uptime(server),
        (isThere) => !isThere,
      ),
    ).toBe(false);
  });

  it('gives its parent its code when it cannot start', async () => {
    const ended = await runToEnd([
      'serve',
      '--restart-after',
      '0s',
      '--data-dir',
      '/proc/nowhere',
      '--port',
      '0',
    ]);
    expect([ended.code, ended.stdout]).toEqual([2, '']);
    expect(ended.stderr).toContain('/proc/nowhere');
  });
});
