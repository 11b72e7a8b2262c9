// storage/disk/folder-guard.ts: checks whether the data folder exists and is still ours (rules D3, D6).
//
// Once a beat, the holder touches the lock and checks that the file at its path is the file that it made. Before anything is
// stored, the last check must be younger than LEASE_MS. Before anything is acknowledged, the guard checks again. So a holder
// that was stopped for minutes (SIGSTOP, `docker pause`) acknowledges nothing after another process took over. Time is the
// monotonic time of the machine, which goes on while a process is stopped. It stands still while the whole machine sleeps, but
// the check before an acknowledgement does not depend on time.
//
// What a guard cannot do: a holder may be stopped between the check and a system call, for longer than a take-over takes. When
// it goes on, it does make that call. Nobody is told that the data is stored, and the holder does nothing after this call. The
// new owner has renamed its folders, so the call changes none of its data (parts.ts).
//
// Promises: each trouble is reported once, and its end once. A process whose lock was replaced by another process has lost the
// folder for good.
import { fstatSync, readFileSync, statSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { AppError, InDoubt } from '../../core/errors.ts';
import { clearInterval, monotonicMs, setInterval, wallMs } from '../../core/machine-time.ts';
import type { Availability } from '../../uploads/ports.ts';
import { fileIdOf, parseHolder } from './lock-holder.ts';
import type { LockTimes } from './lock-watch.ts';
import { isReadOnly, systemErrorKind } from '../../core/system-errors.ts';

/** A check this young counts as new: no request arrives and is stored in less time. */
const FRESH_MS = 1;
/** Before work begins, a check this young is enough, because the guard checks again before the work ends. */
const LEASE_MS = 2;

export interface GuardEvents {
  /** The folder cannot be used. It may come back. */
  readonly onTrouble?: (message: string) => void;
  readonly onRecovered?: (message: string) => void;
  /** Another process owns the folder. This process stores nothing any more. */
  readonly onLost?: (message: string) => void;
}

export interface GuardOptions extends GuardEvents {
  readonly times: LockTimes;
  readonly now?: () => number;
}

interface Trouble {
  readonly message: string;
  /** Stored data can still be read. */
  readonly isReadable: boolean;
  readonly isLost: boolean;
}

export interface GuardedFile {
  readonly folder: string;
  readonly path: string;
  readonly handle: FileHandle;
  readonly fileId: string;
  readonly token: string;
}

export class FolderGuard implements Availability {
  readonly #file: GuardedFile;
  readonly #options: GuardOptions;
  readonly #now: () => number;
  #fileId: string;
  #trouble: Trouble | null = null;
  #isReadOnly = false;
  #lookedAtMs: number;
  #touchedAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> = Promise.resolve();

  constructor(file: GuardedFile, options: GuardOptions) {
    this.#file = file;
    this.#fileId = file.fileId;
    this.#options = options;
    this.#now = options.now ?? monotonicMs;
    this.#lookedAtMs = this.#now();
  }

  get fileId(): string {
    return this.#fileId;
  }

  get isLost(): boolean {
    return this.#trouble?.isLost === true;
  }

  /** Begins to touch and to check the lock once a beat. @param alongside called at every beat, and never rejects */
  start(alongside: () => Promise<void>): void {
    let isBeating = false;
    const beat = (): void => {
      // A touch that hangs with its disk must not stop the checks.
      if (isBeating) return this.look();
      isBeating = true;
      this.#beating = this.beat()
        .then(alongside)
        .finally(() => (isBeating = false));
    };
    this.#timer = setInterval(beat, this.#options.times.beatMs).unref();
    beat();
  }

  /** Resolves when the lock is no longer touched. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#beating;
    await this.#file.handle.close();
  }

  async beat(): Promise<void> {
    // The time must change at every touch, whatever the clock says. The descriptor is used and not the path: wherever the
    // folder was moved, this file is its lock.
    this.#touchedAt = Math.max(wallMs(), this.#touchedAt + 1);
    const at = this.#touchedAt / 1_000;
    try {
      await this.#file.handle.utimes(at, at);
      this.#isReadOnly = false;
    } catch (error) {
      // `look` finds every other problem of the folder by itself.
      if (isReadOnly(error)) this.#isReadOnly = true;
    }
    this.look();
  }

  writeRefusal(): AppError | null {
    if (this.#now() - this.#lookedAtMs >= LEASE_MS) this.look();
    return this.#refusal();
  }

  readRefusal(): AppError | null {
    const refusal = this.writeRefusal();
    return this.#trouble?.isReadable === true ? null : refusal;
  }

  /** The caller calls this before it stores something. @throws AppError `storage_unavailable` */
  assertWritable(): void {
    throwIfAny(this.writeRefusal());
  }

  /** The caller calls this before it reads something. @throws AppError `storage_unavailable` */
  assertReadable(): void {
    throwIfAny(this.readRefusal());
  }

  /** The caller calls this after the last write and before the acknowledgement. @throws AppError `storage_unavailable` */
  confirm(): void {
    if (this.#now() - this.#lookedAtMs >= FRESH_MS) this.look();
    throwIfAny(this.#refusal());
  }

  /** As `confirm`, after something was not found in the folder: perhaps the whole folder is gone. */
  confirmReadable(): void {
    if (this.#now() - this.#lookedAtMs >= FRESH_MS) this.look();
    if (this.#trouble?.isReadable === false) throwIfAny(this.#refusal());
  }

  /** The refusal, when the error was caused by the folder. Otherwise the error itself. */
  explain(error: unknown): unknown {
    const cause = error instanceof AppError ? error.cause : error;
    if (!['gone', 'not-ours', 'broken'].includes(systemErrorKind(cause) ?? '')) return error;
    if (isReadOnly(cause)) this.#isReadOnly = true;
    this.look();
    return error instanceof InDoubt ? error : (this.#refusal() ?? error);
  }

  look(): void {
    const lookedAtMs = this.#now();
    if (!this.isLost) this.#become(this.#examine());
    this.#lookedAtMs = lookedAtMs;
  }

  #become(trouble: Trouble | null): void {
    const before = this.#trouble;
    this.#trouble = trouble;
    if (trouble?.message === before?.message) return;
    const { onLost, onTrouble, onRecovered } = this.#options;
    if (trouble === null) onRecovered?.(`the data folder ${this.#file.folder} can be used again`);
    else if (trouble.isLost) onLost?.(trouble.message);
    else onTrouble?.(trouble.message);
  }

  #examine(): Trouble | null {
    const { folder, path } = this.#file;
    const restart = 'put it back as it was, or restart the server';
    try {
      const found = statSync(path, { throwIfNoEntry: false });
      if (found === undefined)
        return trouble(
          `the data folder ${folder} or its lock is gone (removed, moved or unmounted); ${restart}`,
        );
      if (this.#isOurs(fileIdOf(found))) return this.#isReadOnly ? readOnlyTrouble(folder) : null;
      return this.#examineOther();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return trouble(
        `the data folder ${folder} cannot be reached (${reason}); make it reachable, or restart the server`,
      );
    }
  }

  #isOurs(fileId: string): boolean {
    if (fileId === this.#fileId) return true;
    // Some filesystems give a file a new number. The open file then has the new number, too.
    if (fileIdOf(fstatSync(this.#file.handle.fd)) !== fileId) return false;
    this.#fileId = fileId;
    return true;
  }

  #examineOther(): Trouble {
    const { folder, path, token } = this.#file;
    const holder = parseHolder(readFileSync(path, 'utf8'));
    if (holder === null || holder.token === token)
      return trouble(
        `the data folder ${folder} is another one than this server opened; put that one back, or restart the server`,
      );
    const { pid, host, since } = holder;
    return {
      ...trouble(
        `the data folder ${folder} was taken over by process ${pid} on ${host} at ${since}, since this server was stopped or cut ` +
          'off for longer than its lease; it stores nothing more and ends',
      ),
      isLost: true,
    };
  }

  #refusal(): AppError | null {
    if (this.#trouble === null) return null;
    return new AppError(
      'storage_unavailable',
      'the data folder of the server cannot be used right now; nothing of this request was stored, send it again later',
    );
  }
}

function trouble(message: string): Trouble {
  return { message, isReadable: false, isLost: false };
}

function readOnlyTrouble(folder: string): Trouble {
  const message = `the data folder ${folder} is read-only; make it writable`;
  return { message, isReadable: true, isLost: false };
}

function throwIfAny(refusal: AppError | null): void {
  if (refusal !== null) throw refusal;
}
