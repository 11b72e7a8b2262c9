// storage/disk/folder-guard.ts: whether the data folder is there and still ours (rules D3, D6).
//
// The lock is a lease. Once a beat its holder touches it and looks whether the file at its path is the one that it made. Before
// anything is stored, the last look must be younger than the lease; before anything is acknowledged, it is looked again. So of a
// holder that was stopped for minutes (SIGSTOP, `docker pause`) and goes on, no answer says that something was stored after
// another took over. Time is the machine's monotonic time, which goes on while a process is stopped. It stands still while the whole
// machine sleeps; the look before the answer does not depend on time.
//
// What a guard cannot do: a holder that is stopped between the look and a call, for longer than a take-over takes, does make that call
// when it goes on. Nobody is told that it is stored, nothing comes after it, and the new owner has seen to it that it meets nothing
// of its own (parts.ts).
//
// Promises: what is wrong is told once, and once when it is over. Whose lock was replaced by another's has lost for ever.
// Must not know: what is stored in the folder.
import { fstatSync, readFileSync, statSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { AppError, InDoubt } from '../../core/errors.ts';
import { clearInterval, monotonicMs, setInterval, wallMs } from '../../core/machine-time.ts';
import type { Availability } from '../../uploads/ports.ts';
import { fileIdOf, parseHolder } from './lock-holder.ts';
import type { LockTimes } from './lock-watch.ts';
import { isReadOnly, systemErrorKind } from '../../core/system-errors.ts';

/** A look this young is as good as a new one: no request comes and is stored in less. */
const FRESH_MS = 1;
/** Before work is begun, a look this young will do: there is another one before its end. It is all the lease that there is. */
const LEASE_MS = 2;

export interface GuardEvents {
  /** The folder cannot be used. It may come back. */
  readonly onTrouble?: (message: string) => void;
  readonly onRecovered?: (message: string) => void;
  /** Another process owns the folder: nothing is stored by this one any more. */
  readonly onLost?: (message: string) => void;
}

export interface GuardOptions extends GuardEvents {
  readonly times: LockTimes;
  readonly now?: () => number;
}

interface Trouble {
  readonly message: string;
  /** Reading is as good as ever. */
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

  /** Begins to touch and to look, once a beat. @param alongside is done at every beat, too; never rejects */
  start(alongside: () => Promise<void>): void {
    let isBeating = false;
    const beat = (): void => {
      // A touch that hangs with its disk must not keep us from looking.
      if (isBeating) return this.look();
      isBeating = true;
      this.#beating = this.beat()
        .then(alongside)
        .finally(() => (isBeating = false));
    };
    this.#timer = setInterval(beat, this.#options.times.beatMs).unref();
    beat();
  }

  /** Resolves when the lock is not touched any more. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#beating;
    await this.#file.handle.close();
  }

  async beat(): Promise<void> {
    // Never the same twice, whatever the clock says. By the descriptor: wherever the folder is, this file is its lock.
    this.#touchedAt = Math.max(wallMs(), this.#touchedAt + 1);
    const at = this.#touchedAt / 1_000;
    try {
      await this.#file.handle.utimes(at, at);
      this.#isReadOnly = false;
    } catch (error) {
      // Other errors say nothing about the folder that the look would not find.
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

  /** To be called before something is stored. @throws AppError `storage_unavailable` */
  assertWritable(): void {
    throwIfAny(this.writeRefusal());
  }

  /** To be called before something is read. @throws AppError `storage_unavailable` */
  assertReadable(): void {
    throwIfAny(this.readRefusal());
  }

  /** To be called between the last write and the acknowledgement. @throws AppError `storage_unavailable` */
  confirm(): void {
    if (this.#now() - this.#lookedAtMs >= FRESH_MS) this.look();
    throwIfAny(this.#refusal());
  }

  /** As `confirm`, of what was looked for in the folder and not found: it may be the folder that is not there. */
  confirmReadable(): void {
    if (this.#now() - this.#lookedAtMs >= FRESH_MS) this.look();
    if (this.#trouble?.isReadable === false) throwIfAny(this.#refusal());
  }

  /** What a failure means: the refusal, when it failed because of the folder; else the error as it was. */
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
    // Some filesystems number a file anew; the open one with it.
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
