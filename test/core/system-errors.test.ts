import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { AppError, InDoubt } from '../../src/core/errors.ts';
import {
  asDoubt,
  asRefusal,
  folderAdvice,
  isAbsent,
  isTaken,
  systemErrorKind,
} from '../../src/core/system-errors.ts';

/** As Node makes it. */
function failed(code: string, errno?: number): Error {
  return Object.assign(new Error(`${code}: write`), {
    code,
    syscall: 'write',
    ...(errno !== undefined && { errno }),
  });
}

const KINDS = {
  'no-room': ['ENOSPC', 'EDQUOT', 'EFBIG', 'EMLINK'],
  gone: ['ENOENT', 'ENOTDIR', 'ESTALE'],
  'not-ours': ['EACCES', 'EPERM', 'EROFS'],
  passing: ['EMFILE', 'ENFILE', 'EAGAIN', 'EINTR', 'EBUSY', 'ENOMEM'],
  broken: ['EIO', 'EBADF', 'ENAMETOOLONG', 'ELOOP', 'EXDEV', 'EISDIR'],
} as const;
const STATUSES = { 'no-room': 507, gone: 503, 'not-ours': 503, passing: 503 } as const;

describe('a failed system call', () => {
  it.each(Object.entries(KINDS).flatMap(([kind, names]) => names.map((name) => [name, kind])))(
    '%s is %s',
    (name, kind) => {
      expect(systemErrorKind(failed(name))).toBe(kind);
    },
  );

  it.runIf(process.platform === 'linux')('without a name of libuv is known by its number', () => {
    const { EDQUOT, ESTALE } = constants.errno;
    expect(systemErrorKind(failed(`Unknown system error -${EDQUOT}`, -EDQUOT))).toBe('no-room');
    expect(systemErrorKind(failed(`Unknown system error -${ESTALE}`, -ESTALE))).toBe('gone');
  });

  it('is told from every other error', () => {
    for (const other of [
      new Error('x'),
      failed('ERR_INVALID_ARG_VALUE'),
      new AppError('not_found', 'x'),
      'ENOSPC',
      null,
    ])
      expect(systemErrorKind(other)).toBeNull();
  });

  it.each(Object.entries(STATUSES))(
    'of kind %s is %i, with what it was made of for the log',
    (kind, status) => {
      for (const name of KINDS[kind as keyof typeof STATUSES]) {
        const cause = failed(name);
        const refusal = asRefusal(cause);
        if (!(refusal instanceof AppError)) throw new Error(`${name} is no refusal`);
        expect(refusal).toMatchObject({ status, cause });
        expect(refusal.message).toContain(`(${name})`);
        expect(refusal.message).toContain('nothing of this request was stored');
      }
    },
  );

  it('that is broken, and what is no system call, stay as they came: they are defects', () => {
    for (const error of [failed('EIO'), new Error('x'), new AppError('upload_damaged', 'x')])
      expect(asRefusal(error)).toBe(error);
  });

  it('says of a file that may not grow who bounds it', () => {
    expect(String(asRefusal(failed('EFBIG')))).toContain('ulimit -f');
    expect(String(asRefusal(failed('EDQUOT')))).toContain('quota');
  });
});

describe('what could not be undone', () => {
  it.each([
    ['ENOSPC', 507],
    ['EROFS', 503],
    ['EIO', 500],
  ])('after %s is %i, and never says that nothing was stored', (name, status) => {
    const doubt = asDoubt(failed(name));
    expect(doubt).toBeInstanceOf(InDoubt);
    expect(doubt.status).toBe(status);
    expect(doubt.message).not.toContain('nothing of this request was stored');
    expect(doubt.message).toContain('ask for the status');
  });
});

describe('what is no failure', () => {
  it('that something is not there, or is there already', () => {
    expect([isAbsent(failed('ENOENT')), isAbsent(failed('ENOTDIR'))]).toEqual([true, false]);
    expect(['EEXIST', 'ENOTEMPTY', 'ENOENT'].map((name) => isTaken(failed(name)))).toEqual([
      true,
      true,
      false,
    ]);
  });
});

it('a folder that cannot be used comes with what to do', () => {
  expect(folderAdvice(failed('EACCES'))).toContain('chown');
  expect(folderAdvice(failed('EROFS'))).toContain('read-only');
  expect(folderAdvice(failed('ENOSPC'))).toContain('no room');
  expect(folderAdvice(new Error('x'))).toBeNull();
});
