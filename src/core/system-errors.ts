// core/system-errors.ts: the meaning of a failed system call, in one table, for all code that uses the disk.
//
//   no-room   no room of any kind: blocks, inodes, a quota, the greatest length of a file               507 (rule C16)
//   gone      a file or folder of the server is missing: the folder was removed, unmounted or moved     503
//   not-ours  the server lacks permission: another user owns it, or the filesystem is read-only         503
//   passing   the system lacks a resource at this moment: the same call may succeed soon                503
//   broken    the disk failed, or the error is not in this table                                        500
//
// Promises: no other module looks at the code of a failed system call of the disk.
import { constants } from 'node:os';
import { AppError, InDoubt } from './errors.ts';

export type SystemErrorKind = 'no-room' | 'gone' | 'not-ours' | 'passing' | 'broken';

/** By POSIX error name. Any other name is `broken`. */
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

/** The name of the error, such as `ENOSPC`; null when the error is not a failed system call. */
export function systemErrorName(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error)) return null;
  const code = String(error.code);
  if (Object.hasOwn(constants.errno, code)) return code;
  // libuv has no name for some errors, such as EDQUOT and ESTALE: it says "Unknown system error -122".
  const number = 'errno' in error && typeof error.errno === 'number' ? Math.abs(error.errno) : 0;
  return NAMES.get(number) ?? null;
}

/** Null when the error is not a failed system call. */
export function systemErrorKind(error: unknown): SystemErrorKind | null {
  const name = systemErrorName(error);
  return name === null ? null : (KINDS[name] ?? 'broken');
}

/** The file or folder does not exist. For places where that is allowed. */
export function isAbsent(error: unknown): boolean {
  return systemErrorName(error) === 'ENOENT';
}

/** Errors that concern one file only: the rest of the disk can still be read and written. */
const OF_ONE_FILE: ReadonlySet<string> = new Set([
  'EACCES',
  'EPERM',
  'EIO',
  'EBADMSG',
  'EUCLEAN',
  // The name belongs to something that is not a file: a folder, a link to itself, a socket.
  'EISDIR',
  'ENOTDIR',
  'ELOOP',
  'ENXIO',
]);

/** The error's name if it concerns one file or folder only, so that work on the others can go on (rule D5); else null. */
export function nameIfOfOneFile(error: unknown): string | null {
  // Node's own `rm` reports a folder with this code.
  const isFolder = error instanceof Error && 'code' in error && error.code === 'ERR_FS_EISDIR';
  const name = isFolder ? 'EISDIR' : systemErrorName(error);
  return name !== null && OF_ONE_FILE.has(name) ? name : null;
}

/** The filesystem is mounted read-only. */
export function isReadOnly(error: unknown): boolean {
  return systemErrorName(error) === 'EROFS';
}

/** The name exists already, or the folder that was to be replaced or removed is not empty. */
export function isTaken(error: unknown): boolean {
  const name = systemErrorName(error);
  return name === 'EEXIST' || name === 'ENOTEMPTY';
}

/** The filesystem cannot do this rename in one step: its source and target lie in different layers. */
export function isAcrossLayers(error: unknown): boolean {
  return systemErrorName(error) === 'EXDEV';
}

/** The folder cannot be renamed because it is in use: a filesystem is mounted on it. */
export function isBusy(error: unknown): boolean {
  return systemErrorName(error) === 'EBUSY';
}

/** The answer to the client. `broken` is missing here: it is a defect, and its text goes to the log. */
const REFUSALS: Readonly<
  Record<Exclude<SystemErrorKind, 'broken'>, { code: AppError['code']; what: string }>
> = {
  'no-room': { code: 'insufficient_storage', what: 'the disk of the server is full' },
  gone: { code: 'storage_unavailable', what: "the server's data folder is gone, or a part of it is" },
  'not-ours': { code: 'storage_unavailable', what: 'the server may not use its data folder' },
  passing: {
    code: 'storage_unavailable',
    what: 'the system of the server lacks memory or file descriptors, or is busy',
  },
};

/** Where the error's name alone does not tell a person how to make room. */
const NO_ROOM_FOR: Readonly<Record<string, string>> = {
  EDQUOT: "the server's user has used up its quota of the disk",
  EFBIG: 'a file of the server may not be longer: the filesystem or `ulimit -f` bounds it',
  EMLINK: 'a folder of the server may not have more folders in it',
};

/** Turns a failed system call into its refusal (C16). A `broken` error and any other error are returned unchanged. */
export function asRefusal(error: unknown): unknown {
  const told = toldOf(error);
  if (told === null) return error;
  const { code, what } = told;
  const then = code === 'insufficient_storage' ? 'when there is room' : 'later';
  const message = `${what}; nothing of this request was stored, send it again ${then}`;
  return Object.assign(new AppError(code, message), { cause: error });
}

/** The refusal when an operation failed and undoing it failed too, so that its effect may be stored or not. */
export function asDoubt(error: unknown): InDoubt {
  const { code, what } = toldOf(error) ?? { code: 'internal_error', what: 'the disk of the server failed' };
  const message = `${what}, and the server could not undo this request, so the request may be stored or not; when the disk works again, ask for the status, or send the request again`;
  return Object.assign(new InDoubt(code, message), { cause: error });
}

/** The refusal when another process took over the data folder, so that the effect may be stored or not (rule D3). */
export function asLost(): InDoubt {
  return new InDoubt(
    'storage_unavailable',
    'another server has taken over the data folder, so this request may be stored or not; ask the other server for the status',
  );
}

function toldOf(error: unknown): { code: AppError['code']; what: string } | null {
  const kind = systemErrorKind(error);
  if (kind === null || kind === 'broken') return null;
  const name = systemErrorName(error) ?? '';
  const { code, what } = REFUSALS[kind];
  return { code, what: `${NO_ROOM_FOR[name] ?? what} (${name})` };
}

/** Why a folder cannot be used and what to do, for the person who starts the server (§8). Null when no system call failed. */
export function folderAdvice(error: unknown): string | null {
  const kind = systemErrorKind(error);
  const name = systemErrorName(error);
  if (kind === null || name === null) return null;
  return `${FOLDER_ADVICE_FOR[name] ?? FOLDER_ADVICE[kind]} (${name})`;
}

const FOLDER_ADVICE: Readonly<Record<SystemErrorKind, string>> = {
  'no-room': 'has no room for the files that the server needs to start; make room, or use another folder',
  gone: 'cannot be created, or is gone; create the folder above it, or use another folder',
  'not-ours': 'does not belong to the user of the server; chown it, or use another folder',
  passing:
    'cannot be used right now, because the system lacks memory or file descriptors, or is busy; try again',
  broken: 'cannot be used, because the disk failed; check the disk, or use another folder',
};

/** Where the error's name says more than its kind. */
const FOLDER_ADVICE_FOR: Readonly<Record<string, string>> = {
  EROFS: 'is on a read-only filesystem; mount it for writing, or use another folder',
  ENOTDIR: 'is inside something that is not a folder; use another folder',
};
