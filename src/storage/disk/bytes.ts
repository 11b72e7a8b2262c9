// storage/disk/bytes.ts: the Bytes port on a local disk: a folder per place, a file per segment.
//
// Promises: bytes are written where they stay and are not copied (rules F7, C10). Every move is a rename inside one filesystem;
// only an overlay that cannot rename needs a copy (layered-move.ts). With `fsync`, data and names are on the disk when `sync`
// or `move` resolves (D1).
// It does not know which bytes count. The ledger says that.
import { fdatasync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Bytes, Extent, StorageKey, Spool } from '../../uploads/ports.ts';
import { DiskFolders } from './folders.ts';
import { endsOf, sliceExtents } from '../extents.ts';
import { DiskSpool } from './spool.ts';
import { FileWrites } from './file-writes.ts';
import { rm, truncate } from './files.ts';
import { OpenFiles } from './open-files.ts';
import { isMovedByCopy, moveByCopy } from './layered-move.ts';
import { folderBytes, readExtent, segmentsIn, sizesOf } from './segment-files.ts';
import { isAcrossLayers, isTaken } from '../../core/system-errors.ts';
import {
  asDamage,
  datedPlacesIn,
  entriesOf,
  FOLDERS_OF_A_PLACE,
  makeFolders,
  modifiedAt,
  placePath,
  syncFolder,
  type DiskNotes,
  type Durability,
} from './paths.ts';

const fdatasyncFd = promisify(fdatasync);
const KINDS: readonly StorageKey['kind'][] = ['uploads', 'media'];

export interface DiskBytesOptions {
  /** The folder that holds the places. */
  readonly root: string;
  /** The folder that holds the spools. It must be on the filesystem of `root`: otherwise a spool could not be adopted by a move. */
  readonly spoolRoot: string;
  readonly durability: Durability;
  readonly maxOpenFiles: number;
  readonly notes: DiskNotes;
}

export class DiskBytes implements Bytes {
  readonly #options: DiskBytesOptions;
  readonly #files: OpenFiles;
  readonly #writes = new FileWrites();
  /** Paths of segments that are made and not synced yet. Their names must be synced, too. */
  readonly #unsyncedNames = new Set<string>();
  readonly #folders: DiskFolders;
  readonly #paths = new WeakMap<StorageKey, string>();
  #spools = 0;

  constructor(options: DiskBytesOptions) {
    this.#options = options;
    this.#files = new OpenFiles(options.maxOpenFiles, options.notes.onCloseError);
    this.#folders = new DiskFolders(dirname(options.root), options.durability);
  }

  /** Empties the spool folder. What an earlier process left there belongs to nobody. */
  async start(): Promise<void> {
    const { spoolRoot } = this.#options;
    // The folder is emptied and not made anew, because on a full disk there may be no room for a new one.
    await makeFolders(spoolRoot);
    for await (const { name } of entriesOf(spoolRoot))
      await rm(join(spoolRoot, name), { recursive: true, force: true });
  }

  close(): Promise<void> {
    return this.#files.closeAll();
  }

  async write(
    place: StorageKey,
    at: { segment: string; offset: number },
    buffers: readonly Buffer[],
  ): Promise<void> {
    const path = this.#segmentPath(place, at.segment);
    const isNew = !this.#files.has(path) && !(await exists(path));
    if (isNew) await this.#prepareNew(path);
    await this.#files.use(path, { create: isNew, from: at.offset }, (fd) =>
      this.#writes.all(fd, buffers, at.offset),
    );
  }

  async sync(place: StorageKey, segment: string): Promise<void> {
    const path = this.#segmentPath(place, segment);
    if (this.#options.durability === 'none') return this.#files.ensureKept(path);
    await this.#files.ensureKept(path, (fd) => fdatasyncFd(fd));
    if (!this.#unsyncedNames.has(path)) return;
    await syncFolder(dirname(path));
    this.#unsyncedNames.delete(path);
  }

  async spool(): Promise<Spool> {
    this.#spools += 1;
    return new DiskSpool(join(this.#options.spoolRoot, String(this.#spools)), this.#files, this.#writes);
  }

  async adopt(spool: Spool, place: StorageKey, segment: string): Promise<void> {
    if (!(spool instanceof DiskSpool)) throw new Error('this spool is of another storage');
    const path = this.#segmentPath(place, segment);
    await this.#prepareNew(path);
    await spool.moveTo(path);
  }

  async reconcile(
    place: StorageKey,
    extents: readonly Extent[],
  ): Promise<{ strayBytes: number; missing: string[] }> {
    const expected = endsOf(extents);
    const sizes = await this.sizes(place);
    const missing = [...expected].filter(([segment, bytes]) => (sizes.get(segment) ?? -1) < bytes);
    if (missing.length > 0) return { strayBytes: 0, missing: missing.map(([segment]) => segment) };
    let strayBytes = 0;
    for (const [segment, bytes] of sizes) {
      const kept = expected.get(segment);
      if (kept === bytes) continue;
      strayBytes += bytes - (kept ?? 0);
      const path = this.#segmentPath(place, segment);
      const cutting = kept === undefined ? rm(path, { force: true }) : truncate(path, kept);
      await cutting.catch((error: unknown) => {
        throw asDamage(error, place, 'removed');
      });
    }
    return { strayBytes, missing: [] };
  }

  async sizes(place: StorageKey, only?: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const folder = this.#folder(place);
    try {
      return await sizesOf(folder, new Set(only ?? (await segmentsIn(folder))));
    } catch (error) {
      throw asDamage(error, place);
    }
  }

  async truncate(place: StorageKey, segment: string, bytes: number): Promise<void> {
    const path = this.#segmentPath(place, segment);
    if (bytes > 0) {
      await truncate(path, bytes);
      return this.#files.forget(path);
    }
    await this.#files.close(path).catch(this.#options.notes.onCloseError);
    await rm(path, { force: true });
    this.#files.forget(path);
    // Only after the removal. If the removal fails, the segment is written again, and its name is not durable yet.
    this.#unsyncedNames.delete(path);
  }

  async move(from: StorageKey, to: StorageKey): Promise<boolean> {
    const source = this.#folder(from);
    const target = this.#folder(to);
    await this.release(from);
    const isMoved = !(await exists(source));
    if (isMoved && !(await exists(target))) return true;
    const move = async (): Promise<boolean> => isMoved || this.#moved(source, target);
    if (!(await this.#folders.putInto(dirname(target), move))) return false;
    this.#folders.forget(source);
    if (this.#options.durability === 'none') return true;
    // This is done also when the bytes were moved before, because the process that moved them may have died before the sync.
    // The old name is removed by the same sync, or stays and belongs to nobody: a ledger says that the bytes belong to an
    // entry.
    await syncFolder(dirname(target));
    return true;
  }

  /** Resolves to false, and nothing is done, when the target holds something. An empty target folder is replaced. */
  async #moved(source: string, target: string): Promise<boolean> {
    const byCopy = async (): Promise<boolean> => {
      const aside = join(this.#options.spoolRoot, `move-${basename(target)}`);
      const isDone = await moveByCopy({ source, target, aside, durability: this.#options.durability });
      if (isDone) this.#options.notes.onCopied(target);
      return isDone;
    };
    try {
      await rename(source, target);
      return true;
    } catch (error) {
      if (isAcrossLayers(error)) return byCopy();
      if (isTaken(error)) return (await isMovedByCopy(source, target)) && byCopy();
      throw error;
    }
  }

  async remove(place: StorageKey): Promise<void> {
    const folder = this.#folder(place);
    await this.release(place);
    await rm(folder, { recursive: true, force: true }).catch((error: unknown) => {
      throw asDamage(error, place, 'removed');
    });
    for (const path of this.#unsyncedNames) if (dirname(path) === folder) this.#unsyncedNames.delete(path);
    this.#folders.forget(folder);
  }

  /** When the close of a file fails, the file is closed all the same. The bytes that count were synced before. */
  async release(place: StorageKey): Promise<void> {
    await this.#files.closeFolder(this.#folder(place)).catch(this.#options.notes.onCloseError);
  }

  async *read(
    place: StorageKey,
    extents: readonly Extent[],
    range?: { start: number; length: number },
  ): AsyncIterable<Buffer> {
    try {
      for (const extent of sliceExtents(extents, range))
        yield* readExtent(this.#segmentPath(place, extent.segment), extent);
    } catch (error) {
      throw asDamage(error, place);
    }
  }

  list(kind: StorageKey['kind']): AsyncIterable<{ place: StorageKey; modifiedAt: number }> {
    const { root, notes } = this.#options;
    return datedPlacesIn({ root, kind, suffix: '', report: notes.onSkipped });
  }

  async usage(namespace?: string): Promise<number> {
    const { root, spoolRoot, notes } = this.#options;
    const parts =
      namespace === undefined ? [root, spoolRoot] : KINDS.map((kind) => join(root, kind, namespace));
    let bytes = 0;
    for (const part of parts) bytes += await folderBytes(part, notes.onSkipped);
    return bytes;
  }

  /** Removes the folders of namespaces that hold nothing any more. */
  tidy(): Promise<void> {
    return this.#folders.tidy(this.#options.root, FOLDERS_OF_A_PLACE);
  }

  #segmentPath(place: StorageKey, segment: string): string {
    return `${this.#folder(place)}/${segment}`;
  }

  /** Cheap, because an open upload asks for it several times per chunk. */
  #folder(place: StorageKey): string {
    const known = this.#paths.get(place) ?? placePath(this.#options.root, place);
    this.#paths.set(place, known);
    return known;
  }

  async #prepareNew(path: string): Promise<void> {
    await this.#folders.ensure(dirname(path));
    if (this.#options.durability === 'fsync') this.#unsyncedNames.add(path);
  }
}

async function exists(path: string): Promise<boolean> {
  return (await modifiedAt(path)) !== undefined;
}
