// Random damage to the files of uploads and entries between two starts of a server. Wrong bytes are never served as right, and what
// was not damaged is unchanged (rules D2, D5).
import { readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { placePath } from '../../src/storage/disk/paths.ts';
import { placeOf } from '../../src/uploads/storage-key.ts';
import type { StorageKey } from '../../src/uploads/ports.ts';
import {
  ask,
  finalize,
  openTestServer,
  sendChunk,
  temporaryFolder,
  type TestServer,
} from '../helpers/app.ts';
import { namespaceOf } from '../helpers/disk.ts';
import { diceOf, SEED, type Dice } from '../helpers/seed.ts';

const NAMESPACE = namespaceOf('k');
const UPLOADS = 8;
const DAMAGED_EACH = 4;

/** What a client can ask for, and what the answer must be if there is one. */
interface Subject {
  readonly path: string;
  readonly content: Buffer;
  /** The places that it consists of. An upload that became an entry has both. */
  readonly places: readonly StorageKey[];
}

/** For each kind of damage: how often it was done, and what the result was. */
type Counts = Map<string, number>;

export function randomDamage(rounds: number): void {
  const title = `nothing that ${rounds} rounds of random damage leave is served as right, TEST_SEED=${SEED}`;
  it(title, { timeout: 60_000 + rounds * 2_000 }, async () => {
    const dice = diceOf(SEED);
    const { dataDir, subjects } = await stored(dice);
    const counts: Counts = new Map();
    for (let round = 0; round < rounds; round += 1) await play(dataDir, subjects, { dice, counts });
    const [flips, detected] = [counts.get('damages') ?? 0, counts.get('detected') ?? 0];
    console.info(`damages ${flips}, detected ${detected}:`, Object.fromEntries(counts));
    expect(flips).toBeGreaterThanOrEqual(rounds);
    expect(detected).toBeGreaterThan(flips / 4);
  });
}

async function stored(dice: Dice): Promise<{ dataDir: string; subjects: Subject[] }> {
  const server = await openTestServer({ storage: 'disk', durability: 'none', chunkOrder: 'any' });
  const subjects: Subject[] = [];
  for (let n = 0; n < UPLOADS; n += 1) {
    const [fileId, total] = [`file ${n}`, dice.between(1, 5)];
    const chunks = Array.from({ length: total }, () => dice.bytes(dice.between(1, 3_000)));
    const order = n % 2 === 0 ? [...chunks.keys()] : [...chunks.keys()].toReversed();
    for (const index of order)
      await sendChunk(server, { fileId, index, total, bytes: chunks[index] ?? '', key: 'k' });
    const [content, upload] = [Buffer.concat(chunks), placeOf(NAMESPACE, fileId)];
    const path = `uploads/${encodeURIComponent(fileId)}`;
    if (n % 3 > 0) subjects.push({ path, content, places: [upload] });
    else {
      const { id } = (await finalize(server, fileId)).body.data;
      const entry = { kind: 'media', namespace: NAMESPACE, name: id } as const;
      subjects.push({ path: `media/${id}`, content, places: [entry] });
      subjects.push({ path, content, places: [upload, entry] });
    }
  }
  await server.close();
  return { dataDir: server.dataDir, subjects };
}

async function play(
  template: string,
  subjects: readonly Subject[],
  { dice, counts }: { dice: Dice; counts: Counts },
): Promise<void> {
  const dataDir = await temporaryFolder();
  await cp(template, dataDir, { recursive: true });
  const hurt = new Set<string>();
  for (let n = 0; n < DAMAGED_EACH; n += 1) {
    const place = dice.pick(dice.pick(subjects).places);
    if (hurt.has(place.name)) continue;
    count(counts, hurtOne(dataDir, place, dice));
    count(counts, 'damages');
    hurt.add(place.name);
  }
  const server = await openTestServer({ storage: 'disk', durability: 'none', chunkOrder: 'any', dataDir });
  for (const subject of subjects) {
    const isHurt = subject.places.some(({ name }) => hurt.has(name));
    count(counts, await look(server, subject, isHurt));
  }
  for (const path of ['uploads', 'media', 'metrics', 'state?bytes=base64', 'uploads?namespace=*'])
    expect([path, (await ask(server, `/__admin/${path}`, { key: 'k' })).status]).toEqual([path, 200]);
  server.takeErrors();
  await server.close();
  rmSync(dataDir, { recursive: true });
}

function count(counts: Counts, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}

/** Changes one file of the place. @returns what was done to it */
function hurtOne(dataDir: string, place: StorageKey, dice: Dice): string {
  const folder = placePath(join(dataDir, 'bytes'), place);
  const ledger = `${placePath(join(dataDir, 'ledgers'), place)}.log`;
  // A finalised upload has only its ledger left.
  const segments = segmentsIn(folder).map((name) => join(folder, name));
  const file = dice.between(0, 2) === 0 || segments.length === 0 ? ledger : dice.pick(segments);
  const content = readFileSync(file);
  const what = dice.pick(['flip', 'flip', 'cut', 'remove'] as const);
  const of = file === ledger ? 'ledger' : 'segment';
  if (what === 'remove') rmSync(file);
  else if (what === 'cut') truncateSync(file, dice.between(0, content.length - 1));
  else {
    const at = dice.between(0, content.length - 1);
    content.writeUInt8(content.readUInt8(at) ^ (1 << dice.between(0, 7)), at);
    writeFileSync(file, content);
  }
  return `${what} of a ${of}`;
}

function segmentsIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/**
 * Content is whole or refused. After damage to a ledger, less may be left: the beginning of what was there, or nothing. @returns
 * which
 */
async function look(server: TestServer, subject: Subject, isHurt: boolean): Promise<string> {
  const { path, content } = subject;
  const answer = await fetch(`${server.url}/__admin/${path}/content`, { headers: { 'x-api-key': 'k' } });
  const bytes = Buffer.from(await answer.arrayBuffer());
  const digest = await ask(server, `/__admin/${path}?digest=sha256`, { key: 'k' });
  if (!isHurt) {
    expect([path, answer.status, bytes.equals(content)]).toEqual([path, 200, true]);
    expect([path, digest.status]).toEqual([path, 200]);
    return 'well';
  }
  expect([path, digest.status]).toEqual([path, answer.status]);
  if (answer.status === 200) {
    // A write that never finished is dropped (D2), so the chunks before it are left.
    expect([path, content.subarray(0, bytes.length).equals(bytes)]).toEqual([path, true]);
    return bytes.length === content.length ? 'still right' : 'rolled back';
  }
  if (answer.status === 404) return 'gone';
  expect([path, answer.status, bytes.toString()]).toEqual([
    path,
    500,
    expect.stringContaining('upload_damaged'),
  ]);
  return 'detected';
}
