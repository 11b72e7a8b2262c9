// harness.ts: runs the examples and the drivers against the servers of this run, and asks the servers what they stored.
//
// Promises: a sender that this machine lacks skips its test with a sentence. What was stored is read back through the admin plane
// and compared by a SHA-256 that is computed here.
import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject, type TestContext } from 'vitest';
import type { Exchange } from '../../src/journal/exchange.ts';
import { sentenceOf, starterOf, type Sender } from './senders.ts';

const DRIVERS = fileURLToPath(new URL('drivers/', import.meta.url));
const TIMEOUT_MS = 40_000;

export function skipUnlessThere(sender: Sender, { skip }: TestContext): void {
  if (sender.missing !== null) skip(sentenceOf(sender));
}

export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Upload {
  readonly url: string;
  readonly key: string;
  readonly path: string;
  readonly fileId: string;
  readonly chunkBytes: number;
}

/** A copy of the example, run as its page says: see global-setup.ts. */
export function runExample({ example }: Sender, upload: Upload): Promise<Run> {
  const { url, key, path, fileId, chunkBytes } = upload;
  const settings = { URL: url, API_KEY: key, CHUNK_BYTES: String(chunkBytes) };
  return run(join(inject('folder'), 'examples', example), [path, fileId], settings);
}

/** One form for a sender to send. */
export interface Sending {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** The file to send. */
  readonly path: string;
  /** Null: the sender is given none, and may make one up. */
  readonly filename: string | null;
  readonly isFileFirst: boolean;
  readonly mode: string;
}

/** What http.client can be told besides: there the form is written by hand. */
export interface HandMade extends Sending {
  /** Headers of the file part. */
  readonly head?: string;
  readonly charset?: 'utf-8' | 'latin-1';
  readonly boundary?: string;
  readonly contentType?: string;
}

export interface Outcome {
  /** 0: the sender met an error instead of an answer, and `text` is that. */
  readonly status: number;
  readonly text: string;
}

/** One after the other. @throws Error with what it said, when the driver fails */
export async function sendAll({ driver }: Sender, sendings: readonly HandMade[]): Promise<Outcome[]> {
  const list = await fileOf(JSON.stringify(sendings));
  const { status, stdout, stderr } = await run(join(DRIVERS, driver), [list]);
  if (status !== 0) throw new Error(`${driver} ended with ${status}: ${stdout}${stderr}`);
  return JSON.parse(stdout) as Outcome[];
}

function run(path: string, args: readonly string[], settings: NodeJS.ProcessEnv = {}): Promise<Run> {
  const program = path.endsWith('.go') ? goProgram(path) : path;
  const [file = '', ...rest] = [...starterOf(path), program, ...args];
  const options = { env: { ...process.env, ...settings }, timeout: TIMEOUT_MS };
  return new Promise((resolve) => {
    const child = execFile(file, rest, options, (_error, stdout, stderr) =>
      resolve({ status: child.exitCode, stdout, stderr }),
    );
  });
}

function goProgram(path: string): string {
  const [, name = ''] = /(\w+)\.go$/.exec(path) ?? [];
  return join(inject('folder'), name);
}

/** A new file with this in it. */
export async function fileOf(content: Uint8Array | string): Promise<string> {
  const path = join(inject('folder'), randomUUID());
  await writeFile(path, content);
  return path;
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** So many bytes that look random, and are the same ones for the same name. */
export function bytesOf(name: string, length: number): Buffer {
  return createHash('shake256', { outputLength: length }).update(name).digest();
}

/** The SHA-256 of what is stored at this place of the admin plane; the status where there is nothing. */
async function storedAt(path: string, key: string): Promise<string | number> {
  const response = await fetch(`${inject('openUrl')}/__admin/${path}/content`, {
    headers: { 'X-API-Key': key },
  });
  const content = new Uint8Array(await response.arrayBuffer());
  return response.ok ? sha256(content) : response.status;
}

export function storedUpload(key: string, fileId: string): Promise<string | number> {
  return storedAt(`uploads/${encodeURIComponent(fileId)}`, key);
}

export function storedEntry(key: string, id: string): Promise<string | number> {
  return storedAt(`media/${id}`, key);
}

/** The journal of the key, oldest first. */
export async function exchangesOf(key: string): Promise<Exchange[]> {
  const response = await fetch(`${inject('openUrl')}/__admin/requests?limit=1000`, {
    headers: { 'X-API-Key': key },
  });
  return ((await response.json()) as { requests: Exchange[] }).requests;
}

/** Of our envelope; empty in a success, the text itself where it is no JSON. */
export function errorCodeIn(text: string): string {
  try {
    return (JSON.parse(text) as { error?: string }).error ?? '';
  } catch {
    return text;
  }
}
