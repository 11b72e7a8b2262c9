// system/fs-walk-collector.ts: calls to the disk fail while the collector runs (rules C15, D5). Whatever failed, this must hold:
//    the collector never rejects; what has not expired is there with its bytes, and so is every entry, also after a restart;
//    when the disk works again, the next run removes everything that the failing run should have removed, and reports nothing.
//
// The failures are those of fs-walk-suite.ts.
import { readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { collectOnce } from '../../src/lifecycle/collector.ts';
import { openDiskStorage } from '../../src/storage/disk/disk-storage.ts';
import { ERRORS } from './fs-walk-kinds.ts';
import { failuresOf, type Walk, type Walked } from './fs-walk-suite.ts';
import { temporaryFolder } from '../helpers/app.ts';
import { contentBytes, filesIn } from '../helpers/disk.ts';
import { disk, type Failure } from '../helpers/failing-fs.ts';
import { diceOf } from '../helpers/seed.ts';
import {
  ALICE,
  entryContent,
  FakeClock,
  finalise,
  openService,
  send,
  sizeOf,
  TTL_MS,
  type Service,
} from '../helpers/uploads.ts';

const ONE = Buffer.from('one');

interface World {
  readonly folder: string;
  readonly service: Service;
  readonly mediaId: string;
}

async function opened(folder: string, clock: FakeClock): Promise<Service> {
  return openService({ clock }, await openDiskStorage(folder, 'fsync'));
}

/**
 * Makes an upload that has expired, one that became an entry and expired, one that has not expired, and bytes of a direct upload
 * that never became an entry.
 */
async function begin(): Promise<World> {
  const folder = await temporaryFolder();
  const service = await opened(folder, new FakeClock());
  await send(service, 'old', { fileId: 'old', index: 0, total: 2 });
  await send(service, 'one', { fileId: 'made', index: 0, total: 1 });
  const mediaId = await finalise(service, 'made');
  const direct = service.media.openDirect(ALICE.namespace);
  await direct.write([ONE]);
  direct.onEnd();
  service.clock.advance(TTL_MS + 60_000);
  await send(service, 'new', { fileId: 'new', index: 0, total: 2 });
  return { folder, service, mediaId };
}

async function collect({ uploads, media, storage }: Service): Promise<readonly unknown[]> {
  const told: unknown[] = [];
  await collectOnce({ uploads, media, storage, uploadTtlMs: 0, onError: (error) => told.push(error) });
  return told;
}

async function holds({ service, mediaId }: World, where: string): Promise<void> {
  expect(await sizeOf(service, 'new'), where).toBe(3);
  expect(await entryContent(service, mediaId), where).toBe('one');
}

/** Bytes that no ledger names are collected when nobody has written them for some time. */
function age(folder: string): void {
  for (const { name, parentPath } of readdirSync(join(folder, 'bytes'), {
    recursive: true,
    withFileTypes: true,
  }))
    utimesSync(join(parentPath, name), 0, 0);
}

/** @returns how many files and folders hold uploads and entries */
async function runCase(failure: Failure | null): Promise<number> {
  const world = await begin();
  const { folder, service } = world;
  const where = `the collector: ${JSON.stringify(failure)}`;
  if (failure !== null) await disk.failing(failure, () => collect(service));
  await holds(world, `${where} at ${disk.failedCalls().join(', ')}`);
  age(folder);
  expect(await collect(service), `${where}, then`).toEqual([]);
  await service.uploads.close();
  await service.storage.close();
  const next = { ...world, service: await opened(folder, service.clock) };
  await holds(next, `${where}, after a restart`);
  expect(await sizeOf(next.service, 'old'), where).toBeNull();
  expect(contentBytes(folder), `${where}: bytes left behind`).toBe(6);
  await next.service.uploads.close();
  await next.service.storage.close();
  return [...filesIn(folder).keys()].filter((name) => /^(bytes|ledgers)\//.test(name)).length;
}

export async function walkCollector({ sample, pairs, seed }: Omit<Walk, 'order'>): Promise<Walked> {
  const dice = diceOf(seed);
  const left = await runCase(null);
  const { service } = await begin();
  const calls = await disk.counting(() => collect(service));
  await service.uploads.close();
  await service.storage.close();
  let walked = { cases: 0, faults: 0 };
  for (const failure of failuresOf(calls, { sample, pairs, dice, errors: [...ERRORS, 'ENOMEM'] })) {
    expect(await runCase(failure), `what the collector leaves: ${JSON.stringify(failure)}`).toBe(left);
    walked = { cases: walked.cases + 1, faults: walked.faults + disk.failedCalls().length };
  }
  return walked;
}
