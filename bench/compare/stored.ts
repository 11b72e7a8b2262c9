// bench/compare/stored.ts: measures whether the cost of chunks and the start-up time depend on the number of stored uploads.
//
// Method: two servers, one on a folder with few stored uploads and one on a folder with many, get the same requests in
// alternating windows. The folders are written with the product's own storage (dist/); each upload has one chunk.
import { pathToFileURL } from 'node:url';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { inRepository } from '../root.ts';
import type { Client } from '../sender/client.ts';
import { startProduct, type BenchServer } from '../server.ts';
import { BENCH_KEY } from '../wires.ts';
import { Cost, send } from './cost.ts';
import type { Scale } from './scale.ts';
import type { SpecialName } from './goals.ts';

const WINDOWS = 8;
const CHUNKS_PER_WINDOW = 1_000;
const UPLOADS_PER_WINDOW = 250;
const FEW = 10;
const CHUNK = Buffer.alloc(1024, 'x');
const TOGETHER = 32;

/** The parts of dist/ that this file uses. */
interface StorageKey {
  readonly kind: 'uploads';
  readonly namespace: string;
  readonly name: string;
}
interface DiskStorage {
  readonly ledgers: {
    create(place: StorageKey, records: readonly object[]): Promise<{ close(): Promise<void> }>;
  };
  readonly bytes: {
    write(
      place: StorageKey,
      at: { segment: string; offset: number },
      buffers: readonly Buffer[],
    ): Promise<void>;
    release(place: StorageKey): Promise<void>;
  };
  close(): Promise<void>;
}
interface Product {
  readonly openDiskStorage: (folder: string, durability: 'none') => Promise<DiskStorage>;
  readonly placeOf: (namespace: string, fileId: string) => StorageKey;
  readonly Keys: new (keys: readonly string[]) => {
    caller(headers: Record<string, string>): { namespace: string };
  };
}

/** The two folders. They are made once and used by every run. */
export class StoredFolders {
  readonly few: string;
  readonly many: string;
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
    this.few = join(root, 'few');
    this.many = join(root, 'many');
  }

  static async make(manyUploads: number): Promise<StoredFolders> {
    const folders = new StoredFolders(await mkdtemp(join(tmpdir(), 'xenonflare-mock-bench-')));
    await fill(folders.few, FEW);
    await fill(folders.many, manyUploads);
    return folders;
  }

  remove(): Promise<void> {
    return rm(this.#root, { recursive: true, force: true });
  }
}

export async function measureStored(
  client: Client,
  folders: StoredFolders,
  { warmUpChunks }: Scale,
): Promise<Partial<Record<SpecialName, number>>> {
  const options = { durability: 'none', hasJournal: true } as const;
  const few = await startProduct({ ...options, dataDir: folders.few });
  try {
    const many = await startProduct({ ...options, dataDir: folders.many });
    try {
      for (const server of [few, many]) await warmUp(server, client, warmUpChunks);
      const chunks = await compare(few, many, (server, cost, n) =>
        cost.count(server, client, { label: unique(`chunks-${n}`), maxRequests: CHUNKS_PER_WINDOW }),
      );
      const uploads = await compare(few, many, (server, cost, n) =>
        cost.count(server, client, {
          label: unique(`uploads-${n}`),
          maxRequests: UPLOADS_PER_WINDOW,
          chunksPerUpload: 1,
        }),
      );
      return {
        'chunk-cost-many-to-few': chunks,
        'first-chunk-cost-many-to-few': uploads,
        'start-ms-many': many.startMs,
        'start-ms-few': few.startMs,
      };
    } finally {
      await many.close();
    }
  } finally {
    await few.close();
  }
}

/** The cost with many stored uploads divided by the cost with few. */
async function compare(
  few: BenchServer,
  many: BenchServer,
  window: (server: BenchServer, cost: Cost, n: number) => Promise<void>,
): Promise<number> {
  const ofFew = new Cost();
  const ofMany = new Cost();
  for (let n = 0; n < WINDOWS; n += 1) {
    await window(few, ofFew, n);
    await window(many, ofMany, n);
  }
  return ofMany.msPerRequest / ofFew.msPerRequest;
}

async function warmUp(server: BenchServer, client: Client, chunks: number): Promise<void> {
  await send(server, client, { label: unique('warm-up'), maxRequests: chunks });
  await send(server, client, {
    label: unique('warm-up-uploads'),
    maxRequests: UPLOADS_PER_WINDOW,
    chunksPerUpload: 1,
  });
}

let labels = 0;

/** The folders outlive a run, so each upload needs a name that no earlier run has used. */
function unique(label: string): string {
  labels += 1;
  return `${label}-${labels}`;
}

async function fill(folder: string, uploads: number): Promise<void> {
  const { openDiskStorage, placeOf, Keys } = await product();
  const { namespace } = new Keys([]).caller({ 'x-api-key': BENCH_KEY });
  const storage = await openDiskStorage(folder, 'none');
  const store = async (n: number): Promise<void> => {
    const fileId = `stored-${n}`;
    const place = placeOf(namespace, fileId);
    const at = Date.now();
    await storage.bytes.write(place, { segment: 'main', offset: 0 }, [CHUNK]);
    const ledger = await storage.ledgers.create(place, [
      { type: 'started', format: 1, fileId, totalChunks: 2, at },
      { type: 'chunk', index: 0, segment: 'main', offset: 0, bytes: CHUNK.length, crc32: crc32(CHUNK), at },
    ]);
    await ledger.close();
    await storage.bytes.release(place);
  };
  for (let from = 0; from < uploads; from += TOGETHER) {
    const until = Math.min(from + TOGETHER, uploads);
    await Promise.all(Array.from({ length: until - from }, (_, n) => store(from + n)));
  }
  await storage.close();
}

async function product(): Promise<Product> {
  const at = (path: string): string => pathToFileURL(inRepository(`dist/${path}`)).href;
  const [disk, place, keys] = await Promise.all(
    ['storage/disk.js', 'uploads/place.js', 'http/keys.js'].map(
      (path) => import(at(path)) as Promise<object>,
    ),
  );
  return { ...disk, ...place, ...keys } as Product;
}
