// full-disks.test.ts: real filesystems that are full of bytes or of inodes. Every request that needs room gets 507 and changes
// nothing; the server can start and end there; and everything continues when there is room again (rule C16). Only root may mount
// such filesystems. Also a process with a limit on file size (`ulimit -f`): the kernel writes a part and refuses the rest.
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  ask,
  finalize,
  sendAll,
  sendChunk,
  sizeOf,
  temporaryFolder,
  uploadView,
  type Answer,
} from '../helpers/app.ts';
import { chunkParts, formOf } from '../helpers/multipart.ts';
import { startProcess } from '../helpers/process.ts';
import { canMount } from '../helpers/small-disk.ts';

const KEY = 'k';
const OTHER_KEY = 'other';
const BYTES = Buffer.alloc(60_000, 'full ');
const KINDS = ['tmpfs, bytes', 'tmpfs, inodes', 'ext4, bytes', 'ext4, inodes'] as const;

const mounted: string[] = [];
afterEach(() => {
  for (const path of mounted.splice(0)) {
    execFileSync('umount', ['--lazy', path]);
    rmSync(path, { recursive: true, force: true });
    rmSync(`${path}.img`, { force: true });
  }
});

function mount(kind: (typeof KINDS)[number]): string {
  const path = mkdtempSync(join(tmpdir(), 'xenonflare-mock-full-'));
  const isOfInodes = kind.endsWith('inodes');
  const run = (command: string, ...args: string[]): unknown =>
    execFileSync(command, args, { stdio: 'ignore' });
  if (kind.startsWith('tmpfs'))
    run('mount', '-t', 'tmpfs', '-o', `size=8m${isOfInodes ? ',nr_inodes=120' : ''}`, 'tmpfs', path);
  else {
    run('truncate', '-s', '24M', `${path}.img`);
    run('mkfs.ext4', '-q', '-m', '0', ...(isOfInodes ? ['-N', '160'] : []), `${path}.img`);
    run('mount', '-o', 'loop', `${path}.img`, path);
  }
  mounted.push(path);
  return path;
}

/** Takes all the room: all inodes, and also all bytes unless only inodes are limited. */
function fill(path: string, isOfInodes: boolean): void {
  mkdirSync(path, { recursive: true });
  const untilFull = (write: (n: number) => void): void => {
    try {
      for (let n = 0; ; n += 1) write(n);
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' });
    }
  };
  if (isOfInodes) return untilFull((n) => writeFileSync(join(path, `${Date.now()}-${n}`), ''));
  const file = openSync(join(path, 'bytes'), 'a');
  for (const bytes of [1 << 20, 4096, 1]) untilFull(() => writeSync(file, Buffer.alloc(bytes)));
  closeSync(file);
}

function direct(server: { url: string }): Promise<Answer> {
  const body = new FormData();
  body.set('file', new Blob([BYTES]), 'a.mp4');
  body.set('platforms', '["instagram"]');
  return ask(server, '/media/videos', { method: 'POST', key: KEY, body });
}

/** A chunk that has its bytes before its fields. */
function fileFirst(server: { url: string }, chunk: { fileId: string; index?: number }): Promise<Answer> {
  const { fileId, index = 0 } = chunk;
  const { contentType, body } = formOf(
    chunkParts({ fileId, chunkIndex: index, totalChunks: 2, bytes: BYTES }),
  );
  const headers = { 'content-type': contentType };
  return ask(server, '/media/chunks', { method: 'POST', key: KEY, headers, body: new Uint8Array(body) });
}

function admin(server: { url: string }, line: string, json: object): Promise<Answer> {
  const [method = '', path = ''] = line.split(' ');
  const headers = { 'content-type': 'application/json' };
  const asked = { method, key: OTHER_KEY, headers, body: JSON.stringify(json) };
  return ask(server, `/__admin/${path}`, asked);
}

/** It uses its own namespace, because an import replaces what is there. */
async function importIsRefused(server: { url: string }): Promise<void> {
  const put = await admin(server, 'PUT state', {
    uploads: [{ fileId: 'imported', totalChunks: 2, chunks: [{ index: 0, bytes: BYTES.length * 2 }] }],
  });
  expect(put.status, put.text).toBe(507);
  expect(await sizeOf(server, 'imported', OTHER_KEY)).toBeNull();
}

describe.skipIf(!canMount)('a full disk (needs the right to mount one)', () => {
  it.each(KINDS)('%s: 507 and nothing changed, also after a kill; then all goes on', async (kind) => {
    const disk = mount(kind);
    const isOfInodes = kind.endsWith('inodes');
    const flags = ['--data-dir', join(disk, 'data')];
    let server = await startProcess(flags);
    await sendAll(server, { fileId: 'whole', content: BYTES, key: KEY });
    await sendChunk(server, { fileId: 'begun', total: 2, bytes: BYTES, key: KEY });
    await sendChunk(server, { fileId: 'victim', total: 2, bytes: BYTES, key: KEY });
    for (let times = 0; times < 2; times += 1) {
      const refused = [
        () => sendChunk(server, { fileId: `new-${times}`, total: 2, bytes: BYTES, key: KEY }),
        () => fileFirst(server, { fileId: `new-${times}` }),
        () => direct(server),
        () => finalize(server, 'whole', { key: KEY }),
      ];
      if (!isOfInodes)
        refused.push(() =>
          sendChunk(server, { fileId: 'begun', index: 1, total: 2, bytes: BYTES, key: KEY }),
        );
      for (const request of refused) {
        fill(join(disk, 'filler'), isOfInodes);
        const answer = await request();
        expect(answer.status, answer.text).toBe(507);
      }
      await importIsRefused(server);
      expect(await sizeOf(server, `new-${times}`, KEY)).toBeNull();
      expect(await sizeOf(server, 'begun', KEY)).toBe(BYTES.length);
      expect((await uploadView(server, 'whole', KEY)).finalizedAs).toBeNull();
      await server.kill();
      server = await startProcess(flags);
    }
    const deleted = await ask(server, '/__admin/uploads/victim', { method: 'DELETE', key: KEY });
    expect(deleted.status, deleted.text).toBe(200);
    const reset = await admin(server, 'POST reset', {});
    expect(reset.status, reset.text).toBe(200);
    rmSync(join(disk, 'filler'), { recursive: true });
    const last = await sendChunk(server, { fileId: 'begun', index: 1, total: 2, bytes: BYTES, key: KEY });
    expect(last.status, last.text).toBe(200);
    for (const fileId of ['whole', 'begun']) {
      const made = await finalize(server, fileId, { key: KEY });
      expect(made.status, made.text).toBe(201);
      const { text } = await ask(server, `/__admin/media/${made.body.data.id}/content`, { key: KEY });
      expect(text.length).toBe(BYTES.length * (fileId === 'whole' ? 1 : 2));
    }
    fill(join(disk, 'filler'), isOfInodes);
    server.signal('SIGTERM');
    expect(await server.exited).toMatchObject({ code: 0 });
  });
});

/** Limits a process that is running. Only Linux can do this, and only root may raise the limit again. */
function boundFiles(pid: number, bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}`]);
}

describe.skipIf(!canMount)('files that may not be longer (needs the right to change a limit)', () => {
  it('EFBIG: 507 and nothing changed, also after a kill; then all goes on', async () => {
    const flags = ['--data-dir', await temporaryFolder()];
    let server = await startProcess(flags);
    await sendChunk(server, { fileId: 'begun', total: 2, bytes: BYTES, key: KEY });
    await sendAll(server, { fileId: 'whole', content: BYTES, key: KEY });
    const last = { fileId: 'begun', index: 1, total: 2, bytes: BYTES, key: KEY };
    for (let times = 0; times < 2; times += 1) {
      // Two chunks lie in one file: the second one is cut. A file that is sent whole is cut in half.
      boundFiles(server.pid, BYTES.length + 10_000);
      for (const request of [() => sendChunk(server, last), () => fileFirst(server, last)]) {
        const answer = await request();
        expect(answer.status, answer.text).toBe(507);
        expect(answer.body.message).toContain('(EFBIG)');
      }
      await importIsRefused(server);
      boundFiles(server.pid, BYTES.length / 2);
      for (const request of [() => direct(server), () => fileFirst(server, { fileId: 'new' })]) {
        const answer = await request();
        expect(answer.status, answer.text).toBe(507);
      }
      expect(await sizeOf(server, 'new', KEY)).toBeNull();
      expect(await sizeOf(server, 'begun', KEY)).toBe(BYTES.length);
      const reset = await admin(server, 'POST reset', {});
      expect(reset.status, reset.text).toBe(200);
      await server.kill();
      server = await startProcess(flags);
    }
    const taken = await fileFirst(server, last);
    expect(taken.status, taken.text).toBe(200);
    for (const fileId of ['whole', 'begun']) {
      const made = await finalize(server, fileId, { key: KEY });
      expect(made.status, made.text).toBe(201);
      const { text } = await ask(server, `/__admin/media/${made.body.data.id}/content`, { key: KEY });
      expect(text === BYTES.toString().repeat(fileId === 'whole' ? 1 : 2)).toBe(true);
    }
  });
});
