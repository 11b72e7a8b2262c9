// fs-walk-kinds.ts: the kinds of request whose calls to the disk fail (fs-walk-suite.ts), and what must be true of each.
import { ask, finalize, sendAll, sendChunk, type Answer, type TestServer } from './helpers/app.ts';
import { formOf, fieldsFirst, chunkParts } from './helpers/multipart.ts';

export const KEY = 'k';
export const BYTES = Buffer.alloc(9_000, 'walked ');
export const HALF = BYTES.length / 2;

/**
 * Each stands for its kind in the table of system errors. Those after which the whole folder counts as unusable until its next
 * heartbeat are not here.
 */
export const ERRORS = ['ENOSPC', 'EDQUOT', 'EIO', 'EMFILE'] as const;
/** What a call says that takes no room. */
export const READ_ERRORS = ['EIO', 'EMFILE', 'ENOMEM'] as const;
/** Of what looks at whole folders: the system can have too little left of more. */
const FOLDER_ERRORS = [...ERRORS, 'ENFILE', 'ENOMEM'] as const;

export interface Kind {
  readonly name: string;
  readonly before: (server: TestServer, fileId: string) => Promise<unknown>;
  readonly request: (server: TestServer, fileId: string) => Promise<Answer>;
  /** What the status says before it, and after it. */
  readonly sizes: readonly [number | null, number | null];
  /** How many entries there are when it is done. */
  readonly entries: number;
  /** Removes: when it fails, what it removes is there or is not. `once`: what is gone cannot be removed again. */
  readonly removal?: 'once' | 'again';
  /** What the status may say when it was refused with this text, where that is neither of `sizes` alone. */
  readonly refusedSizes?: (text: string) => readonly (number | null)[];
  /** What its calls fail with; all of `ERRORS` when it does not say. */
  readonly errors?: readonly string[];
  /** Done twice, it makes two. */
  readonly isAlwaysNew?: true;
  /** Bytes of an entry that is not, or not any more, and that could not be removed are the collector's (C15). */
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

/** The same with its fields before its bytes, or behind them: then the bytes are in a spool until it is known whose they are. */
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

/** An entry, and an upload that is not whole. */
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

/** Far more than an upload lives. */
const expiry = (server: TestServer): Promise<Answer> =>
  admin(server, 'PUT clock', { advanceMs: 400 * 86_400_000 });

const content = { bytes: BYTES.length, data: BYTES.toString('base64') };

/** An upload under the fileId that is there already, and an entry. */
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
    // It leaves the namespace empty, or says that it could not.
    refusedSizes: (text) => (text.includes('may still be there') ? [HALF, null, BYTES.length] : [null]),
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
