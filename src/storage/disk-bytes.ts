// storage/disk-bytes.ts: the Bytes port on a local disk: a folder per place, a file per segment.
//
// Promises: bytes are written where they stay (no copy, ever: rules F7, C10); every move is a rename inside one
// filesystem; with `fsync`, data and names are on the disk when `sync` or `move` resolves (D1). A full disk is a
// refusal, not a defect (C16).
// Must not know: what the bytes are. Which of them count is the ledger's word.
import { createReadStream, fdatasync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, truncate } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Bytes, Extent, Place, Spool } from '../uploads/ports.ts';
import { DiskFolders } from './disk-folders.ts';
import { endsOf, sliceExtents } from './extents.ts';
import { DiskSpool } from './disk-spool.ts';
import { FileWrites } from './file-writes.ts';
import { OpenFiles } from './open-files.ts';
import {
  asRefusal,
  entriesOf,
  FOLDERS_OF_A_PLACE,
  hasCode,
  modifiedAt,
  placePath,
  placesIn,
  statIfThere,
  syncFolder,
  type Durability,
} from './disk-paths.ts';

const fdatasyncFd = promisify(fdatasync);
const READ_BYTES = 256 * 1024;

export interface DiskBytesOptions {
  /** Holds the places. */
  readonly root: string;
  /** Holds the spools: on the same filesystem as `root`, or adopting one could not be a move. */
  readonly spoolRoot: string;
  readonly durability: Durability;
  readonly maxOpenFiles: number;
}

export class DiskBytes implements Bytes {
  readonly #options: DiskBytesOptions;
  readonly #files: OpenFiles;
  readonly #writes = new FileWrites();
  /** Segments made and not synced yet: their names must be, too. */
  readonly #unsyncedNames = new Set<string>();
  readonly #folders: DiskFolders;
  readonly #paths = new WeakMap<Place, string>();
  #spools = 0;

  constructor(options: DiskBytesOptions) {
    this.#options = options;
    this.#files = new OpenFiles(options.maxOpenFiles);
    this.#folders = new DiskFolders(dirname(options.root), options.durability);
  }

  /** Empties the spool folder: what an earlier process left there belongs to nobody. */
  async start(): Promise<void> {
    await rm(this.#options.spoolRoot, { recursive: true, force: true });
    await mkdir(this.#options.spoolRoot, { recursive: true });
  }

  close(): Promise<void> {
    return this.#files.closeAll();
  }

  async write(
    place: Place,
    at: { segment: string; offset: number },
    buffers: readonly Buffer[],
  ): Promise<void> {
    const path = this.#segmentPath(place, at.segment);
    try {
      const isNew = !this.#files.has(path) && !(await exists(path));
      if (isNew) await this.#prepareNew(path);
      await this.#files.use(path, isNew, (fd) => this.#writes.all(fd, buffers, at.offset));
    } catch (error) {
      throw asRefusal(error);
    }
  }

  async sync(place: Place, segment: string): Promise<void> {
    if (this.#options.durability === 'none') return;
    const path = this.#segmentPath(place, segment);
    try {
      await this.#files.use(path, false, (fd) => fdatasyncFd(fd));
      if (!this.#unsyncedNames.has(path)) return;
      await syncFolder(dirname(path));
      this.#unsyncedNames.delete(path);
    } catch (error) {
      throw asRefusal(error);
    }
  }

  async spool(): Promise<Spool> {
    this.#spools += 1;
    return new DiskSpool(join(this.#options.spoolRoot, String(this.#spools)), this.#files, this.#writes);
  }

  async adopt(spool: Spool, place: Place, segment: string): Promise<void> {
    if (!(spool instanceof DiskSpool)) throw new Error('this spool is of another storage');
    const path = this.#segmentPath(place, segment);
    try {
      await this.#prepareNew(path);
      await spool.moveTo(path);
    } catch (error) {
      throw asRefusal(error);
    }
  }

  async reconcile(
    place: Place,
    extents: readonly Extent[],
  ): Promise<{ strayBytes: number; missing: string[] }> {
    const folder = this.#folder(place);
    const expected = endsOf(extents);
    const sizes = await segmentSizes(folder);
    const missing = [...expected].filter(([segment, bytes]) => (sizes.get(segment) ?? -1) < bytes);
    if (missing.length > 0) return { strayBytes: 0, missing: missing.map(([segment]) => segment) };
    let strayBytes = 0;
    for (const [segment, bytes] of sizes) {
      const kept = expected.get(segment);
      if (kept === bytes) continue;
      strayBytes += bytes - (kept ?? 0);
      if (kept === undefined) await rm(join(folder, segment), { force: true });
      else await truncate(join(folder, segment), kept);
    }
    return { strayBytes, missing: [] };
  }

  async truncate(place: Place, segment: string, bytes: number): Promise<void> {
    const path = this.#segmentPath(place, segment);
    if (bytes > 0) return truncate(path, bytes);
    await this.#files.close(path);
    this.#unsyncedNames.delete(path);
    await rm(path, { force: true });
  }

  async move(from: Place, to: Place): Promise<boolean> {
    const source = this.#folder(from);
    const target = this.#folder(to);
    await this.release(from);
    const isMoved = !(await exists(source));
    if (isMoved && !(await exists(target))) return true;
    const move = async (): Promise<boolean> => isMoved || renamed(source, target);
    if (!(await this.#folders.putInto(dirname(target), move))) return false;
    this.#folders.forget(source);
    if (this.#options.durability === 'none') return true;
    // Also when it was moved before: by a process, perhaps, that did not live to sync it. The old name goes with the new one
    // or stays, and then it is nobody's: a ledger says that the bytes are an entry's.
    await syncFolder(dirname(target));
    return true;
  }

  async remove(place: Place): Promise<void> {
    const folder = this.#folder(place);
    await this.release(place);
    for (const path of this.#unsyncedNames) if (dirname(path) === folder) this.#unsyncedNames.delete(path);
    this.#folders.forget(folder);
    await rm(folder, { recursive: true, force: true });
  }

  async release(place: Place): Promise<void> {
    await this.#files.closeFolder(this.#folder(place));
  }

  async *read(
    place: Place,
    extents: readonly Extent[],
    range?: { start: number; length: number },
  ): AsyncIterable<Buffer> {
    for (const extent of sliceExtents(extents, range)) {
      const path = this.#segmentPath(place, extent.segment);
      const end = extent.offset + extent.bytes - 1; // createReadStream counts the end in.
      let bytes = 0;
      for await (const piece of createReadStream(path, {
        start: extent.offset,
        end,
        highWaterMark: READ_BYTES,
      })) {
        const buffer = piece as Buffer;
        bytes += buffer.length;
        yield buffer;
      }
      if (bytes < extent.bytes)
        throw new Error(`segment ${extent.segment} ends ${extent.bytes - bytes} bytes early`);
    }
  }

  async *list(kind: Place['kind']): AsyncIterable<{ place: Place; modifiedAt: number }> {
    for await (const { place, path } of placesIn(this.#options.root, kind)) {
      const at = await modifiedAt(path);
      if (at !== undefined) yield { place, modifiedAt: at };
    }
  }

  async usage(namespace?: string): Promise<number> {
    const { root, spoolRoot } = this.#options;
    if (namespace === undefined) return (await folderBytes(root)) + (await folderBytes(spoolRoot));
    let bytes = 0;
    for await (const kind of entriesOf(root)) bytes += await folderBytes(join(root, kind.name, namespace));
    return bytes;
  }

  /** Removes the folders of namespaces that hold nothing any more. */
  tidy(): Promise<void> {
    return this.#folders.tidy(this.#options.root, FOLDERS_OF_A_PLACE);
  }

  #segmentPath(place: Place, segment: string): string {
    return `${this.#folder(place)}/${segment}`;
  }

  /** Of an open upload it is asked for several times a chunk. */
  #folder(place: Place): string {
    const known = this.#paths.get(place) ?? placePath(this.#options.root, place);
    this.#paths.set(place, known);
    return known;
  }

  async #prepareNew(path: string): Promise<void> {
    await this.#folders.ensure(dirname(path));
    if (this.#options.durability === 'fsync') this.#unsyncedNames.add(path);
  }
}

/** False, and nothing is done: the target holds something. An empty folder is replaced. */
async function renamed(source: string, target: string): Promise<boolean> {
  try {
    await rename(source, target);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOTEMPTY', 'EEXIST')) return false;
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return (await modifiedAt(path)) !== undefined;
}

async function segmentSizes(folder: string): Promise<Map<string, number>> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  });
  const sizes = new Map<string, number>();
  for (const name of names) {
    // A removal that failed is over for its caller while others of its files are still going.
    const found = await statIfThere(join(folder, name));
    if (found !== undefined) sizes.set(name, found.size);
  }
  return sizes;
}

async function folderBytes(path: string): Promise<number> {
  let bytes = 0;
  for await (const entry of entriesOf(path)) {
    const entryPath = join(path, basename(entry.name));
    if (entry.isDirectory()) bytes += await folderBytes(entryPath);
    else bytes += (await stat(entryPath).catch(() => ({ size: 0 }))).size; // Gone meanwhile: no bytes.
  }
  return bytes;
}
