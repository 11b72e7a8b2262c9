// core/system-errors.ts: what a failed system call means, in one table, for everything that touches the disk.
//
//   no-room   there is no room in any form: blocks, inodes, a quota, the length that a file may have       507 (rule C16)
//   gone      what is ours and must be there is not: the folder was removed, unmounted or moved           503
//   not-ours  we may not: another user's, or a read-only filesystem                                       503
//   passing   the system has too little of something right now: the same call can succeed in a moment     503
//   broken    the disk failed, or something that nobody foresaw                                           500
//
// Promises: nothing else in the project looks at the code of a failed system call of the disk.
// Must not know: which call failed, what it was for.
import { constants } from 'node:os';
import { AppError, InDoubt } from './errors.ts';

export type SystemErrorKind = 'no-room' | 'gone' | 'not-ours' | 'passing' | 'broken';

/** By the names that POSIX gives them. What is missing is `broken`. */
const KINDS: Readonly<Record<string, SystemErrorKind>> = {
  ENOSPC: 'no-room',
  EDQUOT: 'no-room',
  EFBIG: 'no-room',
  EMLINK: 'no-room',
  ENOENT: 'gone',
  ENOTDIR: 'gone',
  ESTALE: 'gone',
  EACCES: 'not-ours',
  EPERM: 'not-ours',
  EROFS: 'not-ours',
  EMFILE: 'passing',
  ENFILE: 'passing',
  EAGAIN: 'passing',
  EINTR: 'passing',
  EBUSY: 'passing',
  ENOMEM: 'passing',
};

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno).map(([name, number]) => [number, name]),
);

/** The name of the error, `ENOSPC` and so on; null when this is no failed system call. */
export function systemErrorName(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error)) return null;
  const code = String(error.code);
  if (Object.hasOwn(constants.errno, code)) return code;
  // libuv knows no name for some, EDQUOT and ESTALE among them: it says "Unknown system error -122".
  const number = 'errno' in error && typeof error.errno === 'number' ? Math.abs(error.errno) : 0;
  return NAMES.get(number) ?? null;
}

/** Null when this is no failed system call. */
export function systemErrorKind(error: unknown): SystemErrorKind | null {
  const name = systemErrorName(error);
  return name === null ? null : (KINDS[name] ?? 'broken');
}

/** There is no such file or folder, where there may be none. */
export function isAbsent(error: unknown): boolean {
  return systemErrorName(error) === 'ENOENT';
}

/** Of these the rest of the disk can be read and written. */
const OF_ONE_FILE: ReadonlySet<string> = new Set([
  'EACCES',
  'EPERM',
  'EIO',
  'EBADMSG',
  'EUCLEAN',
  // Something else is there than a file: a folder, a link to itself, a socket.
  'EISDIR',
  'ENOTDIR',
  'ELOOP',
  'ENXIO',
]);

/** The name of an error that is about one file or folder, so that the others can be gone on with (rule D5); null of any other. */
export function nameIfOfOneFile(error: unknown): string | null {
  // What Node's own `rm` says of a folder.
  const isFolder = error instanceof Error && 'code' in error && error.code === 'ERR_FS_EISDIR';
  const name = isFolder ? 'EISDIR' : systemErrorName(error);
  return name !== null && OF_ONE_FILE.has(name) ? name : null;
}

/** Nothing can be written to this filesystem, by nobody. */
export function isReadOnly(error: unknown): boolean {
  return systemErrorName(error) === 'EROFS';
}

/** Something is there already: a name, or entries of the folder that was to be replaced or removed. */
export function isTaken(error: unknown): boolean {
  const name = systemErrorName(error);
  return name === 'EEXIST' || name === 'ENOTEMPTY';
}

/** A rename that the filesystem cannot do as one: its source and target lie in different layers of it. */
export function isAcrossLayers(error: unknown): boolean {
  return systemErrorName(error) === 'EXDEV';
}

/** It is in use in a way that keeps it from being renamed: a filesystem is mounted on it. */
export function isBusy(error: unknown): boolean {
  return systemErrorName(error) === 'EBUSY';
}

/** What the request is told. `broken` is none of these: it stays a defect, and its text goes to the log. */
const REFUSALS: Readonly<
  Record<Exclude<SystemErrorKind, 'broken'>, { code: AppError['code']; what: string }>
> = {
  'no-room': { code: 'insufficient_storage', what: 'the disk of the server is full' },
  gone: { code: 'storage_unavailable', what: "the server's data folder is gone, or a part of it is" },
  'not-ours': { code: 'storage_unavailable', what: 'the server may not use its data folder' },
  passing: { code: 'storage_unavailable', what: 'the system of the server has too little left of something' },
};

/** Where the name alone says little to who has to make room. */
const NO_ROOM_FOR: Readonly<Record<string, string>> = {
  EDQUOT: "the server's user has used up its quota of the disk",
  EFBIG: 'a file of the server may not be longer: the filesystem or `ulimit -f` bounds it',
  EMLINK: 'a folder of the server may not have more folders in it',
};

/** A failed system call as the refusal that it is (C16); everything else, and what is broken, as it came. */
export function asRefusal(error: unknown): unknown {
  const told = toldOf(error);
  if (told === null) return error;
  const { code, what } = told;
  const then = code === 'insufficient_storage' ? 'when there is room' : 'later';
  const message = `${what}; nothing of this request was stored, send it again ${then}`;
  return Object.assign(new AppError(code, message), { cause: error });
}

/** The refusal of what may be stored, or may not: it failed, and so did undoing it. */
export function asDoubt(error: unknown): InDoubt {
  const { code, what } = toldOf(error) ?? { code: 'internal_error', what: 'the disk of the server failed' };
  const message = `${what}, also when this request was to be undone: whether it is stored will be known when the disk works again; ask for the status, or send it again`;
  return Object.assign(new InDoubt(code, message), { cause: error });
}

/** The refusal of what may be stored, or may not: another process has the data folder by now (rule D3). */
export function asLost(): InDoubt {
  return new InDoubt(
    'storage_unavailable',
    'another server took over the data folder meanwhile; whether this request is stored is known by that one: ask it for the status',
  );
}

function toldOf(error: unknown): { code: AppError['code']; what: string } | null {
  const kind = systemErrorKind(error);
  if (kind === null || kind === 'broken') return null;
  const name = systemErrorName(error) ?? '';
  const { code, what } = REFUSALS[kind];
  return { code, what: `${NO_ROOM_FOR[name] ?? what} (${name})` };
}

/** Why a folder cannot be used, and what to do about it, for who starts the server (§8). Null: this is no failed system call. */
export function folderAdvice(error: unknown): string | null {
  const kind = systemErrorKind(error);
  const name = systemErrorName(error);
  if (kind === null || name === null) return null;
  return `${FOLDER_ADVICE_FOR[name] ?? FOLDER_ADVICE[kind]} (${name})`;
}

const FOLDER_ADVICE: Readonly<Record<SystemErrorKind, string>> = {
  'no-room': 'has no room for what the server needs to start; make some, or take another folder',
  gone: 'cannot be made, or is gone; see that the folder above it is there, or take another',
  'not-ours': 'may not be used by the user of the server; chown it, or take another folder',
  passing: 'cannot be used right now, the system has too little left of something; try again',
  broken: 'cannot be used, the disk failed; look at the disk, or take another folder',
};

/** Where the name says more than its kind. */
const FOLDER_ADVICE_FOR: Readonly<Record<string, string>> = {
  EROFS: 'is on a read-only filesystem; mount it for writing, or take another folder',
  ENOTDIR: 'lies in something that is not a folder; take another',
};
