// ignored-replays.test.ts: over real sockets, a rule with `ignoreReplays` also hits what a transport sends again, but counts only
// the requests that its client made.
import { describe, expect, it } from 'vitest';
import type { NamespaceDouble } from '../../src/control/in-process.ts';
import type { RuleInput } from '../../src/faults/rule-input.ts';
import { chunkRequest, openFaultServer, statusRequest, type FaultServer } from '../helpers/exchanges.ts';
import { Wire } from '../helpers/wire.ts';

const KEY = 'k';

function chunk(fileId = 'f', index = 0): Buffer {
  return chunkRequest({ key: KEY, fileId, index, total: 2, bytes: Buffer.alloc(1000, 'content ') }).bytes;
}

/** On a connection that was used before. */
async function sendReused({ port }: FaultServer, bytes: Buffer): Promise<string | number | null> {
  const wire = await Wire.open(port);
  await wire.request(statusRequest({ key: KEY, fileId: 'another' }).bytes);
  const { status, ending } = await wire.request(bytes);
  return status ?? ending;
}

async function sendAnew({ port }: FaultServer, bytes: Buffer): Promise<string | number | null> {
  const { status, ending } = await (await Wire.open(port)).request(bytes);
  return status ?? ending;
}

async function arm(rule: RuleInput): Promise<{ server: FaultServer; double: NamespaceDouble }> {
  const server = await openFaultServer();
  const double = server.double.namespace(KEY);
  double.rules.add({ id: 'r', match: { operation: 'uploadChunk' }, ...rule });
  return { server, double };
}

function attempts({ journal }: NamespaceDouble): unknown[] {
  return journal
    .find({ operation: 'uploadChunk' })
    .map(({ fault, upload, suspectedTransportReplay }) => [
      fault?.ruleId ?? null,
      upload?.attempt,
      suspectedTransportReplay,
    ]);
}

describe.each(['reset@post-commit', 'reset@pre-commit', 'reset@body:500', 'reset@headers'] as const)(
  'a rule of %s that ignores replays',
  (fault) => {
    it('hits the replay, does not count it, and lets the client’s next attempt through', async () => {
      const { server, double } = await arm({ fault, ignoreReplays: true });
      expect(await sendReused(server, chunk())).toBe('RST');
      expect(await sendAnew(server, chunk())).toBe('RST');
      expect(double.rules.list()).toMatchObject([{ id: 'r', matched: 1, fired: 1, remaining: 0 }]);
      expect(await sendAnew(server, chunk())).toBe(200);
      expect(attempts(double)).toEqual([
        ['r', 1, false],
        ['r', 1, true],
        [null, 2, false],
      ]);
    });
  },
);

describe('a rule that ignores replays (§10.21)', () => {
  it('counts attempts as the client does', async () => {
    const { server, double } = await arm({
      fault: 'reset@pre-commit',
      ignoreReplays: true,
      when: { attempt: '1-2' },
      times: 'always',
    });
    expect(await sendReused(server, chunk())).toBe('RST');
    expect(await sendAnew(server, chunk())).toBe('RST');
    expect(await sendReused(server, chunk())).toBe('RST');
    expect(await sendAnew(server, chunk())).toBe('RST');
    expect(await sendReused(server, chunk())).toBe(200);
    expect(double.rules.list()).toMatchObject([{ matched: 2, fired: 2, remaining: null }]);
  });

  it('counts what is no replay: another chunk, and another upload', async () => {
    const { server, double } = await arm({ fault: 'reset@post-commit', ignoreReplays: true, times: 3 });
    expect(await sendReused(server, chunk())).toBe('RST');
    expect(await sendAnew(server, chunk('f', 1))).toBe('RST');
    expect(await sendAnew(server, chunk('g'))).toBe('RST');
    expect(double.rules.list()).toMatchObject([{ matched: 3, fired: 3, remaining: 0 }]);
  });

  it('leaves the replay of what another rule hit to be counted', async () => {
    const { server, double } = await arm({ fault: 'reset@post-commit' });
    double.rules.add({
      id: 'next',
      match: { operation: 'uploadChunk' },
      fault: 'reset@post-commit',
      ignoreReplays: true,
    });
    expect(await sendReused(server, chunk())).toBe('RST');
    expect(await sendAnew(server, chunk())).toBe('RST');
    expect(double.rules.list()).toMatchObject([{ fired: 1 }, { id: 'next', fired: 1, remaining: 0 }]);
    expect(attempts(double)).toMatchObject([
      ['r', 1, false],
      ['next', 2, true],
    ]);
  });

  it('is met for everybody, too', async () => {
    const server = await openFaultServer();
    server.double.rules.add({
      id: 'all',
      fault: 'reset@post-commit',
      match: { chunkIndex: 0 },
      ignoreReplays: true,
    });
    expect(await sendReused(server, chunk())).toBe('RST');
    expect(await sendAnew(server, chunk())).toBe('RST');
    expect(await sendAnew(server, chunk())).toBe(200);
    expect(server.double.rules.list()).toMatchObject([{ id: 'all', fired: 1, remaining: 0 }]);
  });

  it('is refused where no journal tells replays', async () => {
    const { double } = await openFaultServer({ noJournal: true });
    const add = (): unknown => double.rules.add({ fault: 'reset', ignoreReplays: true });
    expect(add).toThrow('without --no-journal');
  });
});
