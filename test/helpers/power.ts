// helpers/power.ts: simulates a disk that forgets what was not synced. From the trace of a server (fs-tap.mjs) it builds the folder
// as it may be found after the power failed at any moment of that trace.
//
// It relies only on what POSIX promises: the data of a file is there once the file was synced; that a name is there, or is gone, is
// durable once its folder was synced. Whatever was not synced may be there or not, each thing independently and in any order. Data
// may be there in part: a prefix, any of its blocks, or only its size. A rename happens completely or not at all; it is durable
// once the target folder was synced. A sync covers what had ended before the sync began, and counts from the moment when the sync
// ends.
// Must not know: what the files mean.
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Dice } from './seed.ts';
import type { Result, Step, TraceLine } from './fs-trace.ts';

type Inode = number;

interface Name {
  readonly folder: Inode;
  readonly name: string;
}

type Effect =
  | { readonly kind: 'write'; readonly file: Inode; readonly at: number; readonly data: Buffer }
  | { readonly kind: 'resize'; readonly file: Inode; readonly size: number }
  | {
      readonly kind: 'name';
      readonly to: Name;
      readonly from: Name | null;
      readonly inode: Inode;
    }
  | { readonly kind: 'unname'; readonly to: Name; readonly inode: Inode };

/** Times are numbers of lines of the trace. */
interface Happening {
  readonly effect: Effect;
  readonly begunAt: number;
  readonly endedAt: number;
  durableAt: number;
}

type Folders = Map<Inode, Map<string, Inode>>;

const ROOT: Inode = 0;
const NOBODY: Inode = -1;
const KEPT: DataFate = { kind: 'kept' };
const NEVER = Number.POSITIVE_INFINITY;

/** What happens to data that was not synced. `blocks`: each block of data has its own fate. */
export interface Fate {
  isNameKept(): boolean;
  /** This is asked once for each file. */
  dataOf(): DataFate;
}

export type DataFate =
  | { readonly kind: 'kept' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'zeros' }
  | { readonly kind: 'prefix'; readonly share: number }
  | { readonly kind: 'blocks'; readonly blockBytes: number; isKept(): boolean };

export const EVERYTHING_LOST: Fate = { isNameKept: () => false, dataOf: () => ({ kind: 'lost' }) };
export const EVERYTHING_KEPT: Fate = { isNameKept: () => true, dataOf: () => ({ kind: 'kept' }) };

/** The dice decide how many names are lost. A disk writes whole sectors, or whole pages of its cache. */
export function fateOf(dice: Dice): Fate {
  const share = dice.pick([0.1, 0.5, 0.9]);
  return {
    isNameKept: () => dice.chance(share),
    dataOf() {
      const kind = dice.pick(['kept', 'lost', 'zeros', 'prefix', 'blocks', 'blocks'] as const);
      if (kind === 'prefix') return { kind, share: dice.between(0, 100) / 100 };
      if (kind !== 'blocks') return { kind };
      return { kind, blockBytes: dice.pick([512, 4096]), isKept: () => dice.chance(share) };
    },
  };
}

/** The files of a folder by their paths; null stands for a folder. */
export type Tree = ReadonlyMap<string, Buffer | null>;

interface Begun {
  readonly step: Step;
  readonly at: number;
  /** The file that the descriptor stands for at this moment. Later the same number may stand for another file. */
  readonly inode: Inode | undefined;
}

/** Everything that happened in a folder that was empty at first, and when each change became durable. */
export class DiskHistory {
  readonly #happenings: Happening[] = [];
  readonly #names = new Map<Inode, Map<string, Inode>>([[ROOT, new Map()]]);
  readonly #folders = new Set<Inode>([ROOT]);
  readonly #open = new Map<number, Inode>();
  readonly #begun = new Map<number, Begun>();
  #lastInode: Inode = ROOT;

  constructor(lines: readonly TraceLine[]) {
    for (const [at, line] of lines.entries()) this.#take(line, at);
    // A call that never ended may have happened or not.
    for (const begun of this.#begun.values()) this.#happen(begun, NEVER, {});
  }

  /** The folders that may be found when the power fails right after line `cut`. */
  imageAt(cut: number, fate: Fate): Tree {
    const folders = new Map<Inode, Map<string, Inode>>();
    const files = new Map<Inode, Buffer>();
    const fates = new Map<Inode, DataFate>();
    const fateOfFile = (file: Inode): DataFate => {
      const own = fates.get(file) ?? fate.dataOf();
      fates.set(file, own);
      return own;
    };
    for (const { effect, begunAt, durableAt } of this.#happenings) {
      if (begunAt > cut) continue;
      const isDurable = durableAt <= cut;
      if ('file' in effect) {
        const before = files.get(effect.file) ?? Buffer.alloc(0);
        files.set(effect.file, changeData(before, effect, isDurable ? KEPT : fateOfFile(effect.file)));
      } else if (isDurable || fate.isNameKept()) changeName(folders, effect);
    }
    return this.#treeOf(folders, files);
  }

  #treeOf(folders: Folders, files: ReadonlyMap<Inode, Buffer>): Tree {
    const tree = new Map<string, Buffer | null>();
    const walk = (folder: Inode, above: string): void => {
      for (const [name, inode] of folders.get(folder) ?? []) {
        const path = join(above, name);
        const isFolder = this.#folders.has(inode);
        tree.set(path, isFolder ? null : (files.get(inode) ?? Buffer.alloc(0)));
        if (isFolder) walk(inode, path);
      }
    };
    walk(ROOT, '');
    return tree;
  }

  #take(line: TraceLine, at: number): void {
    if (line.t === 'restarted') {
      this.#open.clear();
      this.#begun.clear();
    } else if (line.t === 'opened') this.#open.set(line.fd, this.#existing(line.path).inode);
    else if (line.t === 'close') this.#open.delete(line.fd);
    else if (line.t === 'begin') {
      const inode = this.#inodeOf(line);
      this.#begun.set(line.n, { step: line, at, inode });
    } else if (line.t === 'end') this.#end(line, at);
  }

  #inodeOf(step: Step): Inode | undefined {
    if ('fd' in step && step.fd !== undefined) return this.#open.get(step.fd);
    return step.op === 'sync' ? this.#existing(step.path).inode : undefined;
  }

  #end(line: TraceLine & { t: 'end' }, at: number): void {
    const begun = this.#begun.get(line.n);
    if (begun === undefined) throw new Error(`step ${line.n} ended and never began`);
    this.#begun.delete(line.n);
    if (line.failed !== undefined) return;
    if (begun.step.op === 'sync') this.#sync(begun, at);
    else this.#happen(begun, at, line);
  }

  #sync(begun: Begun, endedAt: number): void {
    for (const happening of this.#happenings) {
      const { effect } = happening;
      const inode = 'file' in effect ? effect.file : effect.to.folder;
      if (inode === begun.inode && happening.endedAt <= begun.at)
        happening.durableAt = Math.min(happening.durableAt, endedAt);
    }
  }

  #happen(begun: Begun, endedAt: number, result: Result): void {
    for (const effect of this.#effectsOf(begun, result)) {
      this.#happenings.push({ effect, begunAt: begun.at, endedAt, durableAt: NEVER });
      if (!('file' in effect)) changeName(this.#names, effect);
    }
  }

  #effectsOf({ step, inode = NOBODY }: Begun, result: Result): Effect[] {
    if (step.op === 'write') {
      const data = Buffer.from(step.data, 'base64').subarray(0, result.written);
      return [{ kind: 'write', file: inode, at: step.at, data }];
    }
    if (step.op === 'write-file') return this.#writeFile(step.path, Buffer.from(step.data, 'base64'));
    if (step.op === 'truncate')
      return [{ kind: 'resize', file: this.#existing(step.path).inode, size: step.size }];
    return this.#namesChangedBy(step, result);
  }

  #namesChangedBy(step: Step, result: Result): Effect[] {
    if (step.op === 'create') return [this.#create(step.path, result.fd)];
    if (step.op === 'mkdir') return result.first === null ? [] : this.#makeFolders(step.path);
    if (step.op === 'remove') return this.#removeAll(step.path);
    if (step.op !== 'rename' && step.op !== 'link') return [];
    const { inode, at } = this.#existing(step.from);
    const from = step.op === 'rename' ? at : null;
    return [{ kind: 'name', to: this.#find(step.path).at, from, inode }];
  }

  #newInode(isFolder: boolean): Inode {
    this.#lastInode += 1;
    if (isFolder) {
      this.#folders.add(this.#lastInode);
      this.#names.set(this.#lastInode, new Map());
    }
    return this.#lastInode;
  }

  #create(path: string, fd: number | undefined): Effect {
    const inode = this.#newInode(false);
    if (fd !== undefined) this.#open.set(fd, inode);
    return { kind: 'name', to: this.#find(path).at, from: null, inode };
  }

  #makeFolders(path: string): Effect[] {
    const made: Effect[] = [];
    let folder = ROOT;
    for (const name of path.split('/')) {
      const known = this.#names.get(folder)?.get(name);
      const inode = known ?? this.#newInode(true);
      if (known === undefined) made.push({ kind: 'name', to: { folder, name }, from: null, inode });
      folder = inode;
    }
    return made;
  }

  #writeFile(path: string, data: Buffer): Effect[] {
    const { inode } = this.#find(path);
    const created = inode === undefined ? this.#create(path, undefined) : null;
    const file = inode ?? this.#lastInode;
    const emptied: Effect[] = created === null ? [{ kind: 'resize', file, size: 0 }] : [created];
    return [...emptied, { kind: 'write', file, at: 0, data }];
  }

  #removeAll(path: string): Effect[] {
    const { at, inode } = this.#find(path);
    if (inode === undefined) return [];
    const inner = [...(this.#names.get(inode)?.keys() ?? [])].flatMap((name) =>
      this.#removeAll(`${path}/${name}`),
    );
    return [...inner, { kind: 'unname', to: at, inode }];
  }

  #existing(path: string): { at: Name; inode: Inode } {
    const { at, inode } = this.#find(path);
    if (inode === undefined) throw new Error(`the trace speaks of ${path}, which nobody made`);
    return { at, inode };
  }

  #find(path: string): { at: Name; inode: Inode | undefined } {
    if (path === '') return { at: { folder: NOBODY, name: '' }, inode: ROOT };
    const names = path.split('/');
    const name = names.pop() ?? '';
    let folder = ROOT;
    for (const above of names) {
      const inode = this.#names.get(folder)?.get(above);
      if (inode === undefined) throw new Error(`the trace speaks of ${path}, and nobody made ${above}`);
      folder = inode;
    }
    return { at: { folder, name }, inode: this.#names.get(folder)?.get(name) };
  }
}

function changeName(folders: Folders, effect: Effect & { kind: 'name' | 'unname' }): void {
  const { to, inode } = effect;
  const names = folders.get(to.folder) ?? new Map<string, Inode>();
  folders.set(to.folder, names);
  if (effect.kind === 'name') {
    names.set(to.name, inode);
    if (effect.from !== null) changeName(folders, { kind: 'unname', to: effect.from, inode });
  } else if (names.get(to.name) === inode) names.delete(to.name);
}

function changeData(content: Buffer, effect: Effect & { kind: 'write' | 'resize' }, fate: DataFate): Buffer {
  if (fate.kind === 'lost') return content;
  if (effect.kind === 'resize') {
    return effect.size <= content.length ? content.subarray(0, effect.size) : grown(content, effect.size);
  }
  const { at, data } = effect;
  if (fate.kind === 'prefix')
    return patched(content, at, data.subarray(0, Math.floor(data.length * fate.share)));
  if (fate.kind === 'zeros') return grown(content, at + data.length);
  if (fate.kind === 'kept') return patched(content, at, data);
  let torn = content;
  for (let from = at; from < at + data.length;) {
    const to = Math.min((Math.floor(from / fate.blockBytes) + 1) * fate.blockBytes, at + data.length);
    if (fate.isKept()) torn = patched(torn, from, data.subarray(from - at, to - at));
    from = to;
  }
  return torn;
}

function grown(content: Buffer, size: number): Buffer {
  if (size <= content.length) return content;
  return Buffer.concat([content, Buffer.alloc(size - content.length)]);
}

function patched(content: Buffer, at: number, data: Buffer): Buffer {
  const result = Buffer.from(grown(content, data.length === 0 ? 0 : at + data.length));
  data.copy(result, at);
  return result;
}

const AN_HOUR_AGO = new Date(Date.now() - 3_600_000);

/** Puts the files into an existing empty folder. Their times are some while ago, as after a power failure. */
export function materialise(tree: Tree, folder: string): void {
  for (const [path, content] of tree) {
    if (content === null) mkdirSync(join(folder, path), { recursive: true });
    else {
      writeFileSync(join(folder, path), content);
      utimesSync(join(folder, path), AN_HOUR_AGO, AN_HOUR_AGO);
    }
  }
}

/**
 * The trace up to line `cut`, for a process that was killed there. What the process had handed to the kernel happens all the same.
 */
export function killedAt(lines: readonly TraceLine[], cut: number): TraceLine[] {
  const before = lines.slice(0, cut + 1);
  const running = new Set<number>();
  for (const line of before) {
    if (line.t === 'begin' && line.op !== 'sync') running.add(line.n);
    else if (line.t === 'end') running.delete(line.n);
  }
  const ends = lines.slice(cut + 1).filter((line) => line.t === 'end' && running.has(line.n));
  return [...before, ...ends, { t: 'restarted' }];
}
