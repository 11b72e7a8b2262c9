// helpers/fs-tap.mjs: is loaded into a server's process before the server (`node --import`). It stands between the server and the
// disk.
//
// Everything that changes a file or a folder below FS_TAP_ROOT, every sync, and every request and answer is
//   - written to the file FS_TAP_TRACE, one JSON object a line, in the order in which it began and ended (fs-trace.ts says
//     what a line means), and
//   - a point at which the process can die by SIGKILL: FS_TAP_DIE=<n> counts from the start, the request header `x-die-at: <n>`
//     from the arrival of that request. `<n>` is before the n-th point, `<n>half` in the middle of it. `never` only counts.
//
// It is plain JavaScript because Node 20 can load nothing else this way. It knows nothing about the server except which functions
// of node:fs it calls. If one is missing here, the test that compares the trace with the files on the disk finds it.
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import http from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const { FS_TAP_ROOT: root = '', FS_TAP_TRACE: tracePath, FS_TAP_DIE: dieAtStart } = process.env;
const real = { ...fs };
const realAsync = { ...fsp };
const traceFd = tracePath === undefined ? null : real.openSync(tracePath, 'a');

/** Paths of what is open, by descriptor. */
const openPaths = new Map();
let steps = 0;
let points = 0;
/** Null: points are not counted now. */
let dieAt = null;

if (dieAtStart !== undefined) arm(dieAtStart);

function arm(text) {
  points = 0;
  dieAt = { point: parseInt(text, 10), isHalf: text.endsWith('half') };
  trace({ t: 'armed' });
}

function die() {
  process.kill(process.pid, 'SIGKILL');
}

function trace(line) {
  if (traceFd !== null) real.writeSync(traceFd, `${JSON.stringify(line)}\n`);
}

function inside(path) {
  const name = relative(root, String(path));
  return !name.startsWith('..');
}

/** A point. `half` does a part of the call, for a process that dies in the middle of it. */
function begin(op, facts, half) {
  steps += 1;
  trace({ t: 'begin', n: steps, op, isPoint: dieAt !== null, canHalf: half !== undefined, ...facts });
  if (dieAt !== null) {
    points += 1;
    if (points === dieAt.point) {
      if (dieAt.isHalf) half?.();
      die();
    }
  }
  return steps;
}

async function tapped(step, work) {
  const n = begin(step.op, step.facts, step.half);
  try {
    const result = await work();
    trace({ t: 'end', n, ...step.result?.(result) });
    return result;
  } catch (error) {
    trace({ t: 'end', n, failed: error.code ?? 'error' });
    throw error;
  }
}

function tappedCallback(step, done, work) {
  const n = begin(step.op, step.facts, step.half);
  work((error, result) => {
    if (error) trace({ t: 'end', n, failed: error.code ?? 'error' });
    else trace({ t: 'end', n, ...step.result?.(result) });
    done(error, result);
  });
}

const named = (path) => relative(root, String(path));

// Opening is a point only when it makes a file.

function opened(path, flags, fd) {
  openPaths.set(fd, named(path));
  if (!flags.includes('w')) trace({ t: 'opened', path: named(path), fd });
  return { fd };
}

fs.open = (path, flags, ...rest) => {
  if (!inside(path)) return real.open(path, flags, ...rest);
  const done = rest.at(-1);
  if (!flags.includes('w')) {
    return real.open(path, flags, (error, fd) => {
      if (!error) opened(path, flags, fd);
      done(error, fd);
    });
  }
  const step = { op: 'create', facts: { path: named(path) }, result: (fd) => opened(path, flags, fd) };
  return tappedCallback(step, done, (then) => real.open(path, flags, then));
};

fsp.open = async (path, flags = 'r', ...rest) => {
  if (!inside(path)) return realAsync.open(path, flags, ...rest);
  const open = () => realAsync.open(path, flags, ...rest);
  const step = { op: 'create', facts: { path: named(path) }, result: ({ fd }) => opened(path, flags, fd) };
  const handle = flags.includes('w') ? await tapped(step, open) : await open();
  if (!flags.includes('w')) opened(path, flags, handle.fd);
  const { close } = handle; // The handle's own method, not the one of its prototype.
  handle.close = () => {
    closing(handle.fd);
    return close();
  };
  return handle;
};

function closing(fd) {
  if (openPaths.delete(fd)) trace({ t: 'close', fd });
}

fs.close = (fd, ...rest) => {
  closing(fd);
  return real.close(fd, ...rest);
};

// Writing.

function writeStep(fd, buffers, position) {
  const bytes = Buffer.concat(buffers);
  return {
    op: 'write',
    facts: { fd, path: openPaths.get(fd), at: position, data: bytes.toString('base64') },
    half: () => real.writeSync(fd, bytes, 0, bytes.length >> 1, position),
    result: (written) => ({ written }),
  };
}

function wroteHere(step, write) {
  const n = begin(step.op, step.facts, step.half);
  const written = write();
  trace({ t: 'end', n, written });
  return written;
}

fs.writeSync = (fd, buffer, ...where) => {
  if (!openPaths.has(fd)) return real.writeSync(fd, buffer, ...where);
  const [offset, length, position] = where;
  const step = writeStep(fd, [buffer.subarray(offset, offset + length)], position);
  return wroteHere(step, () => real.writeSync(fd, buffer, ...where));
};

fs.writevSync = (fd, buffers, position) => {
  if (!openPaths.has(fd)) return real.writevSync(fd, buffers, position);
  return wroteHere(writeStep(fd, buffers, position), () => real.writevSync(fd, buffers, position));
};

fs.write = (fd, buffer, ...rest) => {
  if (!openPaths.has(fd)) return real.write(fd, buffer, ...rest);
  const [offset, length, position, done] = rest;
  const step = writeStep(fd, [buffer.subarray(offset, offset + length)], position);
  return tappedCallback(step, done, (then) => real.write(fd, buffer, offset, length, position, then));
};

fs.writev = (fd, buffers, ...rest) => {
  if (!openPaths.has(fd)) return real.writev(fd, buffers, ...rest);
  const [position, done] = rest;
  return tappedCallback(writeStep(fd, buffers, position), done, (then) =>
    real.writev(fd, buffers, position, then),
  );
};

fsp.writeFile = async (path, data, options) => {
  if (!inside(path)) return realAsync.writeFile(path, data, options);
  const bytes = Buffer.from(data);
  const step = {
    op: 'write-file',
    facts: { path: named(path), data: bytes.toString('base64') },
    half: () => real.writeFileSync(path, bytes.subarray(0, bytes.length >> 1)),
  };
  const { flush = false, ...rest } = typeof options === 'string' ? { encoding: options } : (options ?? {});
  await tapped(step, () => realAsync.writeFile(path, data, rest));
  if (!flush) return;
  await tapped({ op: 'sync', facts: { path: named(path) } }, async () => {
    const handle = await realAsync.open(path, 'r+');
    await realHandles.sync.call(handle);
    await handle.close();
  });
};

fsp.truncate = (path, size = 0) => {
  if (!inside(path)) return realAsync.truncate(path, size);
  return tapped({ op: 'truncate', facts: { path: named(path), size } }, () => realAsync.truncate(path, size));
};

// Syncing.

const syncStep = (fd) => ({ op: 'sync', facts: { fd, path: openPaths.get(fd) } });

for (const name of ['fsync', 'fdatasync']) {
  fs[name] = (fd, done) =>
    openPaths.has(fd)
      ? tappedCallback(syncStep(fd), done, (then) => real[name](fd, then))
      : real[name](fd, done);
}

const probe = await realAsync.open(fileURLToPath(import.meta.url));
const handles = Object.getPrototypeOf(probe);
await probe.close();
const realHandles = {};
for (const name of ['sync', 'datasync', 'truncate', 'write', 'writev', 'writeFile', 'appendFile']) {
  realHandles[name] = handles[name];
}
for (const name of ['sync', 'datasync']) {
  handles[name] = function sync() {
    if (!openPaths.has(this.fd)) return realHandles[name].call(this);
    return tapped(syncStep(this.fd), () => realHandles[name].call(this));
  };
}
handles.truncate = function truncate(size = 0) {
  if (!openPaths.has(this.fd)) return realHandles.truncate.call(this, size);
  const facts = { path: openPaths.get(this.fd), size };
  return tapped({ op: 'truncate', facts }, () => realHandles.truncate.call(this, size));
};
handles.writeFile = function writeFile(data, ...rest) {
  const { fd } = this;
  if (!openPaths.has(fd)) return realHandles.writeFile.call(this, data, ...rest);
  return tapped(writeStep(fd, [Buffer.from(data)], 0), async () => {
    await realHandles.writeFile.call(this, data, ...rest);
    return Buffer.byteLength(data);
  });
};
for (const name of ['write', 'writev', 'appendFile']) {
  handles[name] = function untapped(...rest) {
    if (openPaths.has(this.fd)) throw new Error(`fs-tap.mjs does not know FileHandle.${name} yet`);
    return realHandles[name].apply(this, rest);
  };
}

// Names.

/** The first folder that `mkdir` would make. */
function makeFirst(path) {
  const above = dirname(path);
  if (!real.existsSync(above)) return makeFirst(above);
  if (!real.existsSync(path)) real.mkdirSync(path);
}

fsp.mkdir = (path, options) => {
  if (!inside(path)) return realAsync.mkdir(path, options);
  const step = {
    op: 'mkdir',
    facts: { path: named(path) },
    half: () => makeFirst(path),
    result: (first) => ({
      first: options?.recursive ? (first === undefined ? null : named(first)) : named(path),
    }),
  };
  // Only a call that makes a folder is a point: most calls find it there already.
  if (real.existsSync(path)) return realAsync.mkdir(path, options);
  return tapped(step, () => realAsync.mkdir(path, options));
};

for (const name of ['rename', 'link']) {
  fsp[name] = (from, to) => {
    if (!inside(from)) return realAsync[name](from, to);
    const facts = { path: named(to), from: named(from) };
    return tapped({ op: name, facts }, () => realAsync[name](from, to));
  };
}

/** For a folder: the first thing in it. */
function removeFirst(path) {
  if (!real.existsSync(path) || !real.statSync(path).isDirectory()) return;
  const [first] = real.readdirSync(path);
  if (first !== undefined) real.rmSync(join(path, first), { recursive: true });
}

for (const name of ['rm', 'unlink', 'rmdir']) {
  fsp[name] = (path, options) => {
    if (!inside(path) || !real.existsSync(path)) return realAsync[name](path, options);
    const step = { op: 'remove', facts: { path: named(path) }, half: () => removeFirst(path) };
    return tapped(step, () => realAsync[name](path, options));
  };
}

syncBuiltinESMExports();

// Requests and answers.

http.Server.prototype.emit = function emit(event, ...rest) {
  if (event === 'request') {
    const [{ headers }] = rest;
    trace({ t: 'asked', id: headers['x-request-id'] });
    if (headers['x-die-at'] !== undefined) arm(headers['x-die-at']);
  }
  return Object.getPrototypeOf(http.Server.prototype).emit.call(this, event, ...rest);
};

const end = Reflect.get(http.ServerResponse.prototype, 'end');
http.ServerResponse.prototype.end = function answer(...rest) {
  const facts = { id: this.req.headers['x-request-id'] ?? '', status: this.statusCode };
  trace({ t: 'end', n: begin('answer', facts) });
  // The whole answer is now in the kernel: the client gets it even if this process dies.
  this.once('finish', () => trace({ t: 'end', n: begin('answered', facts) }));
  return end.apply(this, rest);
};
