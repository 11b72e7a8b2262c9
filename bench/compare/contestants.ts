// bench/compare/contestants.ts: the compared servers: how to start each one, how to speak to it, and how to read what it stored.
//
// Promises: every measured upload can be verified: `stored` yields what a server holds of an upload, in order. A contestant that
// cannot run here says why in a sentence.
// Must not know: what is measured, and which figures are wanted.
import { createReadStream, existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { SentUpload } from '../sender/job.ts';
import { startPeer, startProduct, type BenchServer, type ProductOptions } from '../server.ts';
import { BENCH_KEY, type WireName } from '../wires.ts';

export interface Contestant {
  readonly wire: WireName;
  start(): Promise<BenchServer>;
  readonly isOurs: boolean;
  /** Reads the stored bytes of the upload. Null: the server keeps nothing. */
  readonly stored: ((server: BenchServer, sent: SentUpload) => AsyncIterable<Uint8Array>) | null;
  /** Says why the contestant cannot run on this machine. Absent: it can. */
  readonly absence?: string;
}

export type ContestantName =
  | 'ours'
  | 'ours-file-first'
  | 'ours-no-journal'
  | 'ours-fsync'
  | 'pipe'
  | 'same-work'
  | 'nginx'
  | 'nginx-tuned'
  | 'fastify-multipart'
  | 'multer'
  | 'formidable'
  | 'tus'
  | 'uploadx'
  | 'constant';

/** The path in Debian's package, which is not in the PATH of every user. */
const NGINX = '/usr/sbin/nginx';

export function ours(options: ProductOptions, wire: WireName): Contestant {
  return { wire, isOurs: true, start: () => startProduct(options), stored: contentOfOurs };
}

async function* contentOfOurs(server: BenchServer, { fileId }: SentUpload): AsyncIterable<Uint8Array> {
  const url = `${server.url}/__admin/uploads/${fileId}/content`;
  const { status, body } = await fetch(url, { headers: { 'X-API-Key': BENCH_KEY } });
  if (status !== 200 || body === null)
    throw new Error(`the content of ${fileId} was answered with ${status}`);
  yield* body;
}

/** @param pathsOf the files that hold the upload, in order, inside the server's folder */
export function peer(
  name: string,
  wire: WireName,
  pathsOf: (sent: SentUpload) => readonly string[],
): Contestant {
  return {
    wire,
    isOurs: false,
    start: () => startPeer(name),
    async *stored(server, sent) {
      for (const path of pathsOf(sent)) yield* createReadStream(join(server.folder, path));
    },
  };
}

const oneFile = ({ fileId }: SentUpload): string[] => [fileId];

function filePerChunk(folder: string): (sent: SentUpload) => string[] {
  return ({ fileId, chunks }) => Array.from({ length: chunks }, (_, n) => join(folder, `${fileId}-${n}`));
}

/** @param buffer the value of `client_body_buffer_size` */
function nginx(buffer: string): Contestant {
  return {
    ...peer('nginx', 'raw-files', filePerChunk('files')),
    start: () => startPeer('nginx', [NGINX, buffer]),
    ...(existsSync(NGINX)
      ? {}
      : { absence: `There is no ${NGINX} here: nginx (Debian's package of that name) is left out.` }),
  };
}

export const CONTESTANTS: Readonly<Record<ContestantName, Contestant>> = {
  ours: ours({ durability: 'none', hasJournal: true }, 'form-fields-first'),
  'ours-file-first': ours({ durability: 'none', hasJournal: true }, 'form-file-first'),
  'ours-no-journal': ours({ durability: 'none', hasJournal: false }, 'form-fields-first'),
  'ours-fsync': ours({ durability: 'fsync', hasJournal: true }, 'form-fields-first'),
  pipe: peer('pipe', 'raw-append', oneFile),
  'same-work': peer('same-work', 'raw-append', oneFile),
  nginx: nginx('16k'),
  'nginx-tuned': nginx('1m'),
  'fastify-multipart': peer('fastify-multipart', 'form-fields-first', oneFile),
  multer: peer('multer', 'form-fields-first', filePerChunk('')),
  formidable: peer('formidable', 'form-fields-first', filePerChunk('')),
  tus: peer('tus', 'tus', ({ location }) => [basename(location)]),
  uploadx: peer('uploadx', 'uploadx', ({ location }) => [
    new URL(location, 'http://localhost').searchParams.get('upload_id') ?? '',
  ]),
  constant: peer('constant', 'status', () => []),
};
