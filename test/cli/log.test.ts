// log.test.ts: the server continues whatever happens to stdout and stderr (D7). Real processes.
import { closeSync, openSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { eventually, metric } from '../helpers/app.ts';
import { close, openPipe, readUntil } from '../helpers/fifos.ts';
import { startProcess, type ServerProcess } from '../helpers/process.ts';
import { openConnection, requestBytes } from '../helpers/raw.ts';

const FLAGS = ['--storage', 'memory', '--log-level', 'info'];
/** One line of the log contains it, escaped: about 700 bytes. There are more lines than the server keeps for later. */
const FILE_ID = encodeURIComponent('"'.repeat(256));
const REQUESTS = 2_400;
const AT_A_TIME = 50;
/** Much longer than it takes; shorter than with a grace, or with a wait for the log. */
const AT_ONCE_MS = 9_000;

/** The requests are pipelined: with `fetch` the client itself would need seconds of processor time. */
async function askOften({ port }: ServerProcess): Promise<void> {
  const request = requestBytes(`GET /media/chunks?fileId=${FILE_ID}`);
  const requests = Buffer.concat(Array.from({ length: AT_A_TIME }, () => request));
  const connection = await openConnection(port);
  for (let sent = 0; sent < REQUESTS; sent += AT_A_TIME) {
    await connection.write(requests);
    for (let answered = 0; answered < AT_A_TIME; answered += 1)
      expect((await connection.answer())?.status).toBe(200);
  }
  connection.destroy();
}

async function endsAtOnce(server: ServerProcess): Promise<void> {
  const told = performance.now();
  server.signal('SIGTERM');
  expect(await server.exited).toEqual({ code: 0, signal: null });
  expect(performance.now() - told).toBeLessThan(AT_ONCE_MS);
}

describe('a log that cannot be written (D7)', () => {
  it.each(['a device that is full', 'a pipe that nobody reads', 'a pipe whose reader is gone'] as const)(
    'to %s costs lines, which are counted: every exchange is answered, and SIGTERM ends it with 0',
    async (kind) => {
      const { reader, writer } = await openPipe();
      const stderr = kind === 'a device that is full' ? openSync('/dev/full', 'w') : writer;
      const server = await startProcess(FLAGS, {}, stderr);
      if (stderr !== writer) closeSync(stderr);
      close(writer);
      if (kind === 'a pipe whose reader is gone') close(reader);
      await askOften(server);
      const dropped = await eventually(
        () => metric(server, 'log_lines_dropped_total'),
        (lines) => lines > 0,
      );
      expect(dropped).toBeLessThan(REQUESTS);
      await endsAtOnce(server);
    },
  );

  it('says how many lines were dropped when it can be written again, and every line is whole', async () => {
    const { reader, writer } = await openPipe();
    const server = await startProcess(FLAGS, {}, writer);
    close(writer);
    await askOften(server);
    const dropped = await metric(server, 'log_lines_dropped_total');
    const text = await readUntil(reader, (read) => /"droppedLines":\d+.*\n/.test(read));
    const lines = text.trim().split('\n');
    const logged = lines.map((line) => JSON.parse(line) as { msg: string; droppedLines?: number });
    const told = logged.find(({ droppedLines }) => droppedLines !== undefined);
    expect(told).toMatchObject({
      msg: 'log lines were dropped: standard error could not be written',
      droppedLines: expect.any(Number),
    });
    // The line about the request for the metric may be one of them.
    expect(told?.droppedLines).toBeGreaterThanOrEqual(dropped);
    expect(told?.droppedLines).toBeLessThanOrEqual(dropped + 1);
    expect(logged.filter(({ msg }) => msg === 'request').length).toBeGreaterThanOrEqual(
      REQUESTS - dropped - 1,
    );
    await endsAtOnce(server);
  });
});
