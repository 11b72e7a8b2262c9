// What a process holds and leaves behind: a sample of what must not grow (deep/limits.test.ts tests it in full), servers that run
// in parallel, and what the command prints when it ends.
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startServer } from '../../src/index.ts';
import { flood, floodDigest } from '../helpers/flood.ts';
import { runToEnd, startProcess } from '../helpers/process.ts';
import {
  abortedRequests,
  chunksInParallel,
  largestFile,
  newFolder,
  serversSideBySide,
  startUp,
  videosInParallel,
} from './limits-suite.ts';

const MIB = 1024 * 1024;

chunksInParallel({ count: 32, mib: 4 });
videosInParallel({ count: 16, mib: 8 });
abortedRequests(500);
largestFile({ count: 8, mib: 4 });
startUp(500);
serversSideBySide(10);

it('temporary files lie in the data folder: no other file system is needed, and none is crossed', async () => {
  const nowhere = { TMPDIR: '/nowhere', TMP: '/nowhere', TEMP: '/nowhere' };
  const server = await startProcess(['--data-dir', await newFolder(), '--spool-memory', '0'], nowhere);
  const chunk = { fileId: 'spooled', total: 2, bytes: 3 * MIB, fileFirst: true };
  for (const index of [0, 1]) expect((await flood(server.port, { ...chunk, index })).status).toBe(200);
  const shown = await fetch(`${server.adminUrl}/uploads/spooled?digest=sha256`);
  expect(await shown.json()).toMatchObject({ completed: true, sha256: floodDigest([3 * MIB, 3 * MIB]) });
  expect(server.stderr()).toBe('');
});

describe('in one process', () => {
  it('closing does not wait for stalled connections', async () => {
    // Everything that it would wait for takes an hour.
    const server = await startServer({ idleTimeout: '1h', grace: '1h' });
    const port = Number(new URL(server.url).port);
    const stalled = Array.from({ length: 20 }, (_, n) => {
      const socket = connect({ port, host: '127.0.0.1' }).on('error', () => undefined);
      const head = `POST /media/chunks HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n`;
      socket.write(
        n % 2 === 0 ? head : `${head}--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nbytes`,
      );
      return new Promise<void>((resolve) => socket.once('close', () => resolve()));
    });
    expect((await fetch(`${server.adminUrl}/ready`)).ok, 'the server answers beside them').toBe(true);
    await server.close();
    await Promise.all(stalled);
  });
});

describe('the command', () => {
  it.each([
    [['serve', '--prot', '1'], {}, '--prot'],
    [['serve', '--port', 'many'], {}, '--port'],
    [['serve'], { XENONFLARE_MOCK_PROT: '1' }, 'XENONFLARE_MOCK_PROT'],
    [['serve'], { XENONFLARE_MOCK_MAX_FILE_SIZE: 'big' }, 'XENONFLARE_MOCK_MAX_FILE_SIZE'],
    [['serve', '--config', '/does/not/exist.json'], {}, '/does/not/exist.json'],
    [['sevre'], {}, 'sevre'],
  ])('%j with %j exits with 2 and names what it cannot use (§8.2)', async (argv, environment, named) => {
    const { code, stderr, stdout } = await runToEnd(argv, environment);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(named);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('a port or a data folder that is taken exits with 2 and names it and its holder', async () => {
    const dataDir = await newFolder();
    const server = await startProcess(['--data-dir', dataDir]);
    const port = await runToEnd(['serve', '--storage', 'memory', '--port', String(server.port)]);
    expect([port.code, port.stderr]).toEqual([
      2,
      expect.stringContaining(`127.0.0.1:${server.port} is in use`),
    ]);
    const folder = await runToEnd(['serve', '--port', '0', '--data-dir', dataDir]);
    expect([folder.code, folder.stderr]).toEqual([2, expect.stringContaining(`process ${server.pid}`)]);
  });

  it('SIGTERM ends it with 0; piped, stdout has carried exactly the ready line (§8.7)', async () => {
    const server = await startProcess(['--data-dir', await newFolder()]);
    server.signal('SIGTERM');
    expect(await server.exited).toEqual({ code: 0, signal: null });
    expect(server.stdout().trim().split('\n')).toHaveLength(1);
    expect(JSON.parse(server.stdout())).toMatchObject({ event: 'ready', url: server.url, pid: server.pid });
  });
});
