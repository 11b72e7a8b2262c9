// helpers/failing-fs.ts: node:fs and node:fs/promises as a storage uses them, with calls that fail on command.
//
// Use it with `vi.mock`. While a test counts, every call of a function is counted. The chosen call fails either before it does its
// work, or afterwards, as when its result is lost. Calls for the lock of a data folder are not counted, because its heartbeat comes
// at any time.
// Must not know: what the calls are for.
import { constants } from 'node:os';
import type fs from 'node:fs';
import type promises from 'node:fs/promises';

export interface Failure {
  /** The number of the first call that fails, counted from 1. */
  readonly call: number;
  /** How many calls fail, one after the other. */
  readonly times: number;
  /** The number of one more call that fails, counted among the calls that follow the first failure. */
  readonly also?: number;
  readonly code: string;
  /** True: the call did its work before it failed. */
  readonly isAfter: boolean;
  /** Only such calls are counted. `opendir uploads/ns_1/ab`: the function and the end of the path. */
  readonly only?: RegExp;
}

let calls = 0;
let failure: Failure | null = null;
let isCounting = false;
let failed: string[] = [];

export const disk = {
  /** How many calls `work` makes. */
  async counting(work: () => Promise<unknown>): Promise<number> {
    begin(null);
    await work().finally(end);
    return calls;
  },

  async failing<T>(which: Failure, work: () => Promise<T>): Promise<T> {
    begin(which);
    return work().finally(end);
  },

  /** The calls of the last time. */
  failedCalls: (): readonly string[] => failed,
};

function begin(which: Failure | null): void {
  calls = 0;
  failed = [];
  failure = which;
  isCounting = true;
}

function end(): void {
  isCounting = false;
}

/** The error with which this call ends; null: it does its work. */
function fateOf(name: string, args: readonly unknown[]): Error | null {
  if (!isCounting || isOfLock(args)) return null;
  const call = `${name} ${String(args[0]).split('/').slice(-3).join('/')}`;
  if (failure?.only?.test(call) === false) return null;
  calls += 1;
  if (failure === null || !isTurnOf(failure)) return null;
  failed.push(call);
  const number = -(constants.errno[failure.code as keyof typeof constants.errno] ?? 0);
  // libuv has no names for these errors, so they are written as libuv would write them.
  const code = ['EDQUOT', 'ESTALE'].includes(failure.code) ? `Unknown system error ${number}` : failure.code;
  return Object.assign(new Error(`${code}: ${name}`), { code, errno: number, syscall: name });
}

function isOfLock(args: readonly unknown[]): boolean {
  return /\/lock/.test(String(args[0]));
}

function isTurnOf({ call, times, also }: Failure): boolean {
  return calls === also || (calls >= call && calls < call + times);
}

/** The descriptor is gone even when closing it fails: the kernel frees it whatever close(2) reports. */
function isDone(name: string): boolean {
  return failure?.isAfter === true || name.endsWith('close');
}

type Method = (...args: unknown[]) => unknown;

function here(name: string, method: Method): Method {
  return (...args) => {
    const error = fateOf(name, args);
    if (error === null) return method(...args);
    if (failure?.isAfter === true) method(...args);
    throw error;
  };
}

/** @param undo is done with a result that is lost */
function withCallback(name: string, method: Method, undo: (result: unknown) => void): Method {
  return (...args) => {
    const error = fateOf(name, args);
    const done = args.at(-1) as (error: Error | null) => void;
    if (error === null) return method(...args);
    if (!isDone(name)) return setImmediate(() => done(error));
    return method(...args.slice(0, -1), (_error: Error | null, result: unknown) => {
      undo(result);
      done(error);
    });
  };
}

function promised(name: string, method: Method): Method {
  return async (...args) => {
    const error = fateOf(name, args);
    if (error === null) return method(...args);
    if (isDone(name)) await lost(name, method(...args));
    throw error;
  };
}

/** The caller never gets the result: without this, a file that was opened would stay open. */
async function lost(name: string, result: unknown): Promise<void> {
  const opened = (await result) as { close?: () => Promise<void> } | undefined;
  if (name === 'open' || name === 'opendir') await opened?.close?.();
}

const HERE = ['writeSync', 'writevSync', 'rmdirSync'] as const;
const WITH_CALLBACK = ['open', 'close', 'write', 'writev', 'fdatasync', 'fsync', 'read'] as const;
const PROMISED = [
  'mkdir',
  'readdir',
  'rename',
  'rm',
  'rmdir',
  'unlink',
  'stat',
  'lstat',
  'truncate',
  'opendir',
  'link',
  'copyFile',
  'readFile',
  'writeFile',
] as const;
const OF_HANDLES = ['readFile', 'read', 'truncate', 'sync', 'datasync', 'close', 'stat'] as const;

export function failingFs(real: typeof fs): typeof fs {
  const replaced = { ...real } as unknown as Record<string, Method>;
  const pick = (name: string): Method => Reflect.get(real, name) as Method;
  for (const name of HERE) replaced[name] = here(name, pick(name));
  const closed = (fd: unknown): void => {
    if (typeof fd === 'number') real.closeSync(fd);
  };
  for (const name of WITH_CALLBACK)
    replaced[name] = withCallback(name, pick(name), name === 'open' ? closed : () => undefined);
  const { open, read, close } = replaced;
  // All other calls go past this module.
  replaced['createReadStream'] = (path, options) =>
    pick('createReadStream')(path, { ...(options as object), fs: { open, read, close } });
  return replaced as unknown as typeof fs;
}

export function failingPromises(real: typeof promises): typeof promises {
  const replaced = { ...real } as unknown as Record<string, Method>;
  for (const name of PROMISED) replaced[name] = promised(name, Reflect.get(real, name) as Method);
  replaced['open'] = promised('open', async (...args) => {
    const handle = await real.open(...(args as Parameters<typeof real.open>));
    if (isOfLock(args)) return handle;
    for (const name of OF_HANDLES) {
      const method = (Reflect.get(handle, name) as Method).bind(handle);
      Reflect.set(handle, name, promised(`handle.${name}`, method));
    }
    return handle;
  });
  return replaced as unknown as typeof promises;
}
