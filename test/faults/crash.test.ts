// crash.test.ts: a rule kills the server's process exactly where it says, and nowhere else. Real processes; the next process is
// asked what was acknowledged and what is stored.
import { afterAll, describe, expect, it } from 'vitest';
import { startServer } from '../../src/index.ts';
import { eventually, temporaryFolder } from '../helpers/app.ts';
import { DoubleClient } from '../helpers/double-client.ts';
import { chunkRequest } from '../helpers/exchanges.ts';
import { runToEnd, startProcess } from '../helpers/process.ts';
import { diceOf, SEED } from '../helpers/seed.ts';
import { Wire } from '../helpers/wire.ts';

const SIZE = 700;
const bytes = diceOf(SEED).bytes(SIZE);

interface Case {
  readonly fault: string;
  /** How many bytes of the answer's body arrive. Null: no answer. */
  readonly answered: number | null;
  readonly isStored: boolean;
}

const CASES: readonly Case[] = [
  { fault: 'crash@headers', answered: null, isStored: false },
  { fault: 'crash@body:0', answered: null, isStored: false },
  { fault: 'crash@body:7', answered: null, isStored: false },
  { fault: 'crash@pre-commit', answered: null, isStored: false },
  { fault: 'crash@post-commit', answered: null, isStored: true },
  { fault: 'crash@response', answered: 0, isStored: true },
  { fault: 'crash@response:7', answered: 7, isStored: true },
];

/** Null: nobody answers. */
async function sizeOf(url: string, { key, fileId }: { key: string; fileId: string }): Promise<number | null> {
  try {
    const answer = await fetch(`${url}/media/chunks?fileId=${fileId}`, { headers: { 'x-api-key': key } });
    return ((await answer.json()) as { data: { currentSize: number } }).data.currentSize;
  } catch {
    return null;
  }
}

describe('a rule that crashes the server (§10.20)', () => {
  it('kills it at its place, and the next one, on the same port, has what that implies', async () => {
    const flags = ['--allow-crash', '--restart-after', '0s', '--data-dir', await temporaryFolder()];
    const server = await startProcess(flags);
    for (const [at, { fault, answered, isStored }] of CASES.entries()) {
      const about = { key: `k${at}`, fileId: 'f' };
      const client = new DoubleClient(server, about.key);
      const armed = await client.admin('POST rules', { match: { operation: 'uploadChunk' }, fault });
      expect([fault, armed.status]).toEqual([fault, 201]);
      const wire = await Wire.open(server.port);
      wire.send(chunkRequest({ ...about, index: 0, total: 2, bytes }).bytes);
      await wire.ended();
      const { status, body } = wire.soFar();
      expect([fault, status, status === null ? 0 : body.length]).toEqual([
        fault,
        answered === null ? null : 200,
        answered ?? 0,
      ]);
      // A process that is dying still takes connections for a moment.
      const told = await eventually(
        () => sizeOf(server.url, about),
        (size) => size !== null,
      );
      expect([fault, told]).toEqual([fault, isStored ? SIZE : 0]);
    }
    expect(server.stdout().match(/"ready"/g)).toHaveLength(1);
    expect(JSON.parse(server.stdout())).toMatchObject({ url: server.url, pid: server.pid });
    server.signal('SIGTERM');
    expect(await server.exited).toEqual({ code: 0, signal: null });
  });
});

describe('a rule that would crash a server that must not be crashed (§10.20)', () => {
  const REFUSAL = 'crash kills the process of the server';
  let inProcess: Awaited<ReturnType<typeof startServer>> | null = null;
  afterAll(() => inProcess?.close());

  it('is refused by its pointer where the flag is missing', async () => {
    const server = await startProcess(['--storage', 'memory']);
    const client = new DoubleClient(server, 'k');
    const refused = await client.admin<{ details: unknown }>('POST rules', [
      { fault: 'reset' },
      { fault: { effect: 'crash', phase: 'post-commit' } },
    ]);
    expect(refused.status).toBe(400);
    expect(refused.body.details).toEqual({
      problems: [{ pointer: '/1/fault', message: `${REFUSAL}: start it with --allow-crash` }],
    });
    expect((await client.admin('GET rules')).body).toEqual({ rules: [] });
  });

  it('is refused in process, and so are the settings', async () => {
    inProcess = await startServer();
    const { rules } = inProcess;
    expect(() => rules.add({ fault: 'crash@post-commit' })).toThrow(
      `/fault: ${REFUSAL}, which is your own process here`,
    );
    await expect(startServer({ allowCrash: true })).rejects.toThrow('allowCrash: only the command has it');
    await expect(startServer({ restartAfter: 5 })).rejects.toThrow('restartAfter: only the command has it');
  });

  it('is refused in the file of --rules', async () => {
    const { writeFile } = await import('node:fs/promises');
    const path = `${await temporaryFolder()}/rules.yaml`;
    await writeFile(path, '- fault: crash@headers\n');
    const ended = await runToEnd(['serve', '--port', '0', '--storage', 'memory', '--rules', path]);
    expect([ended.code, ended.stdout]).toEqual([2, '']);
    expect(ended.stderr).toContain(`/0/fault: ${REFUSAL}: start it with --allow-crash`);
  });
});
