// journal/journal-file.test.ts: the journal, and the rules with their counters, survive the process (`--journal-file`): restarts,
// SIGKILL, a rule that crashes it, a torn end, damage, and a disk that accepts nothing.
import { appendFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { startServer, type TestDouble } from '../../src/index.ts';
import type { RuleState, RuleView } from '../../src/faults/rule-set.ts';
import type { Exchange } from '../../src/journal/exchange.ts';
import { readPast, type JournalLine } from '../../src/journal/journal-lines.ts';
import { eventually, temporaryFolder } from '../helpers/app.ts';
import { DoubleClient } from '../helpers/double-client.ts';
import { runToEnd, startProcess, type ServerProcess } from '../helpers/process.ts';

async function path(): Promise<string> {
  return `${await temporaryFolder()}/journal.ndjson`;
}

async function status({ url }: { url: string }, fileId = 'f', key = 'k'): Promise<void> {
  await fetch(`${url}/media/chunks?fileId=${fileId}`, { headers: { 'x-api-key': key } }).then((answer) =>
    answer.text(),
  );
}

async function lived(journalFile: string, work: (server: TestDouble) => Promise<void> | void): Promise<void> {
  const server = await startServer({ journalFile });
  try {
    await work(server);
  } finally {
    await server.close();
  }
}

describe('a journal with a file (§10.20)', () => {
  it('has after a restart what it had, and goes on counting', async () => {
    const journalFile = await path();
    let before: readonly Exchange[] = [];
    await lived(journalFile, async (server) => {
      await status(server);
      await status(server, 'g');
      server
        .namespace('k')
        .rules.add({ id: 'twice', match: { operation: 'getUploadStatus' }, fault: 'status:503', times: 2 });
      await status(server);
      before = structuredClone(server.journal.find());
    });
    await lived(journalFile, async (server) => {
      expect(
        server.journal.find().map(({ timing: _timing, endedAfter: _endedAfter, ...rest }) => rest),
      ).toEqual(before.map(({ timing: _timing, endedAfter: _endedAfter, ...rest }) => rest));
      expect(server.namespace('k').rules.list()).toMatchObject([
        { id: 'twice', fired: 1, remaining: 1, lastFiredSeq: 3 },
      ]);
      await status(server);
      await status(server);
      expect(server.namespace('k').rules.find('twice')).toMatchObject({ fired: 2, exhausted: true });
      const seen = server.journal.find().map(({ seq, begun, response, upload }) => {
        return [seq, begun, response?.status, upload?.attempt];
      });
      expect(seen.slice(2)).toEqual([
        [3, 3, 503, 2],
        [4, 4, 503, 3],
        [5, 5, 200, 4],
      ]);
      const connections = server.journal.find().map(({ connection }) => connection.id);
      expect(connections[3]).toBeGreaterThan(Math.max(...connections.slice(0, 3)));
    });
  });

  it('remembers that it was cleared, whose rules are gone, and gives no number twice', async () => {
    const journalFile = await path();
    await lived(journalFile, async (server) => {
      server.namespace('k').rules.add({ id: 'gone', fault: 'close@response' });
      await status(server, 'f', 'other');
      await status(server).catch(() => undefined);
      await server.namespace('k').reset();
    });
    await lived(journalFile, async (server) => {
      expect(server.journal.find().map(({ upload }) => upload?.fileId)).toEqual(['f']);
      expect(server.namespace('k').rules.list()).toEqual([]);
      await status(server);
      expect(
        server
          .namespace('k')
          .journal.find()
          .map(({ seq }) => seq),
      ).toEqual([3]);
    });
  });

  it('has an exchange before the rule that names its number: killed in between, no rule names one of a later process', async () => {
    const journalFile = await path();
    await lived(journalFile, async (server) => {
      const { rules } = server.namespace('k');
      rules.add({ id: 'often', match: { operation: 'getUploadStatus' }, fault: 'reset@headers', times: 9 });
      for (let count = 0; count < 9; count += 1) await status(server).catch(() => undefined);
    });
    const known = [0];
    const named: number[] = [];
    for (const text of (await readFile(journalFile, 'utf8')).trimEnd().split('\n')) {
      const { line } = JSON.parse(text) as { line: JournalLine };
      if (line.kind === 'exchange') known.push(line.exchange.seq);
      if (line.kind !== 'rules') continue;
      for (const rule of line.rules as RuleState[]) named.push(rule.lastFiredSeq ?? 0);
      expect(known).toEqual(expect.arrayContaining(named));
    }
    expect(Math.max(...named)).toBe(9);
  });

  it('arms the rules of a file anew when they are others, and else goes on counting', async () => {
    const journalFile = await path();
    const rules = `${await temporaryFolder()}/rules.json`;
    const counts = async (...written: object[]): Promise<unknown> => {
      await writeFile(rules, JSON.stringify(written));
      const server = await startServer({ journalFile, rules });
      await status(server);
      const list = server.rules.list().map(({ id, fired }) => [id, fired]);
      await server.close();
      return list;
    };
    const one = { id: 'one', fault: 'status:503' };
    expect(await counts(one)).toEqual([['one', 1]]);
    expect(await counts(one, { id: 'two', fault: 'status:500' })).toEqual([
      ['one', 1],
      ['two', 1],
    ]);
    expect(await counts({ ...one, times: 2 })).toEqual([['one', 1]]);
  });

  it('drops an end that was never finished, leaves out what is damaged, and says so', async () => {
    const journalFile = await path();
    await lived(journalFile, async (server) => {
      for (const fileId of ['a', 'b', 'c']) await status(server, fileId);
    });
    const lines = (await readFile(journalFile, 'utf8')).split('\n');
    const at = lines.findIndex((line) => line.includes('"fileId":"b"'));
    lines[at] = String(lines[at]).replace('"fileId":"b"', '"fileId":"x"');
    await writeFile(journalFile, lines.join('\n'));
    await appendFile(journalFile, '{"crc":"0000');
    const { damaged, bytes } = readPast(await readFile(journalFile));
    expect([damaged, bytes]).toEqual([[at + 1], (await stat(journalFile)).size - '{"crc":"0000'.length]);
    await lived(journalFile, async (server) => {
      expect(server.journal.find().map(({ upload }) => upload?.fileId)).toEqual(['a', 'c']);
      await status(server, 'd');
      expect(server.journal.find().map(({ seq }) => seq)).toEqual([1, 3, 4]);
    });
    expect(readPast(await readFile(journalFile)).exchanges.map(({ seq }) => seq)).toEqual([1, 3, 4]);
  });

  it('is bounded: it is written anew when it holds far more than it has to', async () => {
    const journalFile = await path();
    const server = await startServer({ journalFile, journalBytes: 20_000 });
    for (let count = 0; count < 150; count += 1) await status(server, `f${count}`);
    const kept = server.journal.find().map(({ seq }) => seq);
    await server.close();
    expect((await stat(journalFile)).size).toBeLessThan(60_000);
    await lived(journalFile, (next) => {
      expect(next.journal.find().map(({ seq }) => seq)).toEqual(expect.arrayContaining(kept.slice(-10)));
    });
  });

  it('costs no exchange when it cannot be written, and is whole as soon as it can', async () => {
    const journalFile = await path();
    const server = await startServer({ journalFile, journalBytes: 6_000 });
    await mkdir(`${journalFile}.new`); // The server writes a new copy at this path.
    for (let count = 0; count < 20; count += 1) await status(server, `f${count}`);
    expect(server.journal.count()).toBeGreaterThan(0);
    await rm(`${journalFile}.new`, { recursive: true });
    await server.close();
    expect(readPast(await readFile(journalFile)).seq).toBe(20);
  });

  it('that cannot be used is refused by its setting', async () => {
    const folder = await temporaryFolder();
    await expect(startServer({ journalFile: folder })).rejects.toThrow(
      `journalFile: ${folder} cannot be used`,
    );
    await expect(startServer({ journalFile: await path(), noJournal: true })).rejects.toThrow(
      'there is no journal to keep',
    );
    const ended = await runToEnd(['serve', '--port', '0', '--storage', 'memory', '--journal-file', folder]);
    expect([ended.code, ended.stdout]).toEqual([2, '']);
  });
});

describe('a server that a rule crashes (§10.20)', () => {
  interface Found {
    readonly requests: readonly Exchange[];
  }

  async function isBack({ adminUrl }: ServerProcess): Promise<void> {
    const started = async (): Promise<boolean> =>
      fetch(`${adminUrl}/requests?outcome=fault-crash`)
        .then(async (answer) => ((await answer.json()) as Found).requests !== undefined)
        .catch(() => false);
    await eventually(started, (isThere) => isThere);
  }

  it.each(['over the admin plane', 'in the file of --rules'])(
    'by a rule armed %s: it fired once, and its exchange is on record',
    async (how) => {
      const folder = await temporaryFolder();
      const rule = {
        id: 'kill',
        match: { operation: 'uploadChunk', chunkIndex: 1 },
        fault: 'crash@post-commit',
      };
      await writeFile(`${folder}/rules.json`, JSON.stringify([rule]));
      const isOfFile = how.includes('--rules');
      const server = await startProcess([
        '--allow-crash',
        '--restart-after',
        '0s',
        '--data-dir',
        `${folder}/data`,
        '--journal-file',
        `${folder}/journal.ndjson`,
        ...(isOfFile ? ['--rules', `${folder}/rules.json`] : []),
      ]);
      const client = new DoubleClient(server, 'k');
      if (!isOfFile) expect((await client.admin('POST rules', rule)).status).toBe(201);
      expect((await client.chunk({ fileId: 'f', index: 0, total: 2 })).status).toBe(200);
      expect((await client.chunk({ fileId: 'f', index: 1, total: 2 })).status).toBe(0);
      await isBack(server);
      const next = new DoubleClient(server, 'k');
      expect((await next.chunk({ fileId: 'f', index: 1, total: 2 })).status).toBe(200);
      const view = await next.admin<RuleView>(`GET rules/kill${isOfFile ? '?namespace=*' : ''}`);
      if (!isOfFile) expect(view.body).toMatchObject({ fired: 1, exhausted: true, lastFiredSeq: 2 });
      const { body } = await next.admin<Found>('POST requests/find', { operation: 'uploadChunk' });
      expect(
        body.requests.map(({ seq, outcome, committed, upload }) => [
          seq,
          outcome,
          committed?.bytes ?? null,
          upload?.attempt,
        ]),
      ).toEqual([
        [1, 'answered', expect.any(Number), 1],
        [2, 'fault-crash', expect.any(Number), 1],
        [expect.any(Number), 'answered', null, 2],
      ]);
      expect(body.requests[1]?.fault).toMatchObject({
        ruleId: 'kill',
        effect: 'crash',
        phase: 'post-commit',
      });
      expect((await next.admin('POST verify', {})).status).toBe(200);
    },
  );
});
