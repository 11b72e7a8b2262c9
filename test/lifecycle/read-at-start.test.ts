// lifecycle/read-at-start.test.ts: what a start reads, and that a start which fails leaves nothing open.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SeededIds } from '../../src/core/ids.ts';
import { readAtStart } from '../../src/lifecycle/read-at-start.ts';
import { createMemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { createLogger } from '../../src/telemetry/telemetry.ts';
import type { LedgerRecord, Storage } from '../../src/uploads/ports.ts';

const ID = 'a'.repeat(24);
const started = { type: 'started', format: 1, fileId: 'f', totalChunks: 1, at: 1 };
const finalized = { type: 'finalized', mediaId: ID, namespace: 'ns_2', fingerprint: 'p', spec: {}, at: 2 };

async function start(
  storage: Storage,
  config: { seed?: string; journalFile?: string },
): Promise<{ taken: string[]; damaged: string[] }> {
  const taken: string[] = [];
  const damaged: string[] = [];
  class Ids extends SeededIds {
    override take(namespace: string, id: string): void {
      taken.push(`${namespace}/${id}`);
    }
  }
  await readAtStart({
    config: { seed: undefined, journalFile: undefined, journalBytes: 1_000, ...config },
    logger: createLogger('silent', { write: () => undefined }),
    storage,
    ids: new Ids('1'),
    onDamaged: ({ details }) => damaged.push(String(details['name'])),
  });
  return { taken, damaged };
}

async function withLedgers(all: Readonly<Record<string, readonly LedgerRecord[]>>): Promise<Storage> {
  const storage = createMemoryStorage();
  for (const [name, records] of Object.entries(all))
    await storage.ledgers.create({ kind: 'uploads', namespace: 'ns_1', name }, records);
  return storage;
}

describe('a start with a seed', () => {
  it('takes the ids that uploads were finalised with, beside a ledger of another kind (D2)', async () => {
    const storage = await withLedgers({ ill: [{ type: 'of another version' }], well: [started, finalized] });
    expect(await start(storage, { seed: '1' })).toEqual({ taken: [`ns_2/${ID}`], damaged: ['ill'] });
  });
});

describe('a start without a seed', () => {
  it('reads no ledger (D2)', async () => {
    const storage = await withLedgers({ ill: [{ type: 'of another version' }], well: [started, finalized] });
    expect(await start(storage, {})).toEqual({ taken: [], damaged: [] });
  });
});

it('a start whose journal file cannot be opened closes the storage', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-start-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  let closed = 0;
  const storage = { ...createMemoryStorage(), close: async () => void (closed += 1) };
  await expect(start(storage, { journalFile: folder })).rejects.toThrow(folder);
  expect(closed).toBe(1);
});
