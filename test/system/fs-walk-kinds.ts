// system/fs-walk-kinds.ts: the kinds of request whose calls to the disk fail (fs-walk-suite.ts), and what must be true for each of
// them.
import { ask, finalize, sendAll, sendChunk, type Answer, type TestServer } from '../helpers/app.ts';
import { formOf, fieldsFirst, chunkParts } from '../helpers/multipart.ts';

export const KEY = 'k';
export const BYTES = Buffer.alloc(9_000, 'walked ');
export const HALF = BYTES.length / 2;

/**
 * Each error stands for its kind in the table of system errors. Errors after which the whole folder counts as unusable until its
 * next heartbeat are left out.
 */
export const ERRORS = ['ENOSPC', 'EDQUOT', 'EIO', 'EMFILE'] as const;
/** Errors of calls that need no room. */
export const READ_ERRORS = ['EIO', 'EMFILE', 'ENOMEM'] as const;
/** Errors of calls that read whole folders: they can also run out of other resources. */
const FOLDER_ERRORS = [...ERRORS, 'ENFILE', 'ENOMEM'] as const;

export interface Kind {
  readonly name: string;
  readonly before: (server: TestServer, fileId: string) => Promise<unknown>;
  readonly request: (server: TestServer, fileId: string) => Promise<Answer>;
  /** What the status says before it, and after it. */
  readonly sizes: readonly [number | null, number | null];
  /** The number of entries after it is done. */
  readonly entries: number;
  /**
   * The request removes something. When it fails, that may be there or not. `once`: a thing that is gone cannot be removed again.
   */
  readonly removal?: 'once' | 'again';
  /** Which sizes the status may report when the request was refused with this text, if other values than `sizes` are possible. */
  readonly refusedSizes?: (text: string) => readonly (number | null)[];
  /** The errors with which its calls fail; all of `ERRORS` by default. */
  readonly errors?: readonly string[];
  /** If it is done twice, it makes two. */
  readonly isAlwaysNew?: true;
  /** Bytes of an entry that does not exist, or no longer exists, and that could not be removed are left to the collector (C15). */
  readonly isCollected?: true;
}

const part = (index: number) => (server: TestServer, fileId: string) =>
  sendChunk(server, {
    fileId,
    index,
    total: 2,
    key: KEY,
    bytes: BYTES.subarray(index * HALF, (index + 1) * HALF),
  });

/**
 * The same request with its fields before its bytes, or after them. In the second case the bytes are in a spool until the server
 * knows which upload they belong to.
 */
const ordered = (parts: typeof chunkParts) => (server: TestServer, fileId: string) => {
  const chunk = { fileId, chunkIndex: 0, totalChunks: 2, bytes: BYTES.subarray(0, HALF) };
  const { contentType, body } = formOf(parts(chunk));
  const headers = { 'content-type': contentType };
  return ask(server, '/media/chunks', { method: 'POST', key: KEY, headers, body: new Uint8Array(body) });
};

const whole = (server: TestServer, fileId: string): Promise<void> =>
  sendAll(server, { fileId, content: BYTES, total: 2, key: KEY });
const nothing = (): Promise<void> => Promise.resolve();

export function direct(server: TestServer, bytes: Buffer = BYTES): Promise<Answer> {
  const body = new FormData();
  body.set('file', new Blob([new Uint8Array(bytes)]), 'a.mp4');
  body.set('platforms', '["instagram"]');
  return ask(server, '/media/videos', { method: 'POST', key: KEY, body });
}

const finalised = (server: TestServer, fileId: string): Promise<Answer> =>
  finalize(server, fileId, { key: KEY });

/** An entry, and an upload that is not complete. */
export async function entryAndHalf(server: TestServer, fileId: string): Promise<void> {
  await direct(server);
  await part(0)(server, fileId);
}

async function wholeAndFinalised(server: TestServer, fileId: string): Promise<void> {
  await whole(server, fileId);
  await finalised(server, fileId);
}

/** @param line `PUT clock`, below /__admin */
function admin(server: TestServer, line: string, json: object): Promise<Answer> {
  const [method = '', path = ''] = line.split(' ');
  const headers = { 'content-type': 'application/json' };
  return ask(server, `/__admin/${path}`, { method, key: KEY, headers, body: JSON.stringify(json) });
}

/** Far longer than an upload lives. */
const expiry = (server: TestServer): Promise<Answer> =>
  admin(server, 'PUT clock', { advanceMs: 400 * 86_400_000 });

const content = { bytes: BYTES.length, data: BYTES.toString('base64') };

/** An upload with a fileId that exists already, and an entry. */
const importOf = (server: TestServer, fileId: string): Promise<Answer> =>
  admin(server, 'PUT state', {
    uploads: [{ fileId, totalChunks: 1, chunks: [{ index: 0, ...content }] }],
    media: [{ type: 'video', fields: { platforms: ['instagram'] }, ...content }],
  });

const reset = (scope: string) => (server: TestServer) => admin(server, 'POST reset', { scope: [scope] });

export const KINDS: readonly Kind[] = [
  {
    name: 'a new upload',
    before: nothing,
    request: ordered(fieldsFirst),
    sizes: [null, HALF],
    entries: 0,
  },
  {
    name: 'a new upload, `file` first',
    before: nothing,
    request: ordered(chunkParts),
    sizes: [null, HALF],
    entries: 0,
  },
  { name: 'the next chunk', before: part(0), request: part(1), sizes: [HALF, HALF * 2], entries: 0 },
  {
    name: 'a direct upload',
    before: nothing,
    request: (server) => direct(server),
    sizes: [null, null],
    entries: 1,
    isAlwaysNew: true,
    isCollected: true,
  },
  { name: 'a finalise', before: whole, request: finalised, sizes: [HALF * 2, HALF * 2], entries: 1 },
  {
    name: 'a deletion',
    before: part(0),
    request: (server, fileId) => ask(server, `/__admin/uploads/${fileId}`, { method: 'DELETE', key: KEY }),
    sizes: [HALF, null],
    entries: 0,
    removal: 'once',
  },
  {
    name: 'a reset of uploads',
    before: entryAndHalf,
    request: reset('uploads'),
    errors: FOLDER_ERRORS,
    sizes: [HALF, null],
    entries: 1,
    removal: 'again',
  },
  {
    name: 'a reset of entries',
    before: wholeAndFinalised,
    request: reset('media'),
    errors: FOLDER_ERRORS,
    sizes: [HALF * 2, null],
    entries: 0,
    removal: 'again',
    isCollected: true,
  },
  {
    name: 'an import',
    before: entryAndHalf,
    request: importOf,
    errors: FOLDER_ERRORS,
    sizes: [HALF, BYTES.length],
    // It leaves the namespace empty, or reports that it could not.
    refusedSizes: (text) => (text.includes('may remain') ? [HALF, null, BYTES.length] : [null]),
    entries: 1,
    isCollected: true,
  },
  {
    name: 'an expiry',
    before: entryAndHalf,
    request: expiry,
    errors: FOLDER_ERRORS,
    sizes: [HALF, null],
    entries: 1,
    removal: 'again',
    isCollected: true,
  },
  {
    name: 'an expiry of an upload that became an entry',
    before: wholeAndFinalised,
    request: expiry,
    errors: FOLDER_ERRORS,
    sizes: [HALF * 2, null],
    entries: 1,
    removal: 'again',
    isCollected: true,
  },
];
