// helpers/app.ts: the real server, in this process, and small clients for it.
//
// Promises: after each test everything that it opened is closed; a test fails when one of its exchanges broke the
// contract, or when its server logged an error that the test did not take (`takeErrors`).
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { openServer, type Server, type ServerOptions } from '../../src/app.ts';
import { resolveConfig } from '../../src/config/config.ts';
import type { ConfigInput } from '../../src/config/options.ts';
import { version } from '../../src/index.ts';
import { DEFAULT_FIXTURES } from '../../src/media/accounts.ts';
import { createLogger } from '../../src/telemetry/telemetry.ts';
import { afterEachTest } from './after-each-test.ts';
import { closeConnections } from './raw.ts';
import { createRecorder, type Recorder } from './recorder.ts';

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [fact: string]: unknown;
}

export interface TestServer extends Server {
  readonly port: number;
  /** The data folder of the disk storage; empty for the memory storage. */
  readonly dataDir: string;
  readonly log: readonly LogLine[];
  /** The errors logged so far. A test that takes them expected them; errors that no test takes fail the test. */
  takeErrors(): LogLine[];
}

const ERROR_LEVEL = 50;

interface Opened {
  readonly server: Server;
  readonly recorder: Recorder;
  readonly errors: LogLine[];
}

const opened = new Set<Opened>();
const folders = new Set<string>();

/** Listeners that pile up are a leak, whichever code adds them. */
const leaks: string[] = [];
process.on('warning', ({ name, message }) => {
  if (name === 'MaxListenersExceededWarning') leaks.push(message);
});

afterEachTest(closeTestServers);

/**
 * Takes the settings by their names. The server stores in memory unless `storage: 'disk'`; then it uses a new folder unless
 * `dataDir` is given.
 */
export async function openTestServer(
  settings: ConfigInput = {},
  parts: Partial<Pick<ServerOptions, 'fixtures' | 'rules' | 'observe'>> = {},
): Promise<TestServer> {
  const dataDir = settings.storage === 'disk' ? (settings.dataDir ?? (await temporaryFolder())) : '';
  const { config, sources } = resolveConfig([
    { source: 'option', values: { ...settings, ...(dataDir === '' ? {} : { dataDir }) } },
    { source: 'default', values: { port: 0, storage: 'memory', logLevel: 'debug' } },
  ]);
  const log: LogLine[] = [];
  const errors: LogLine[] = [];
  const write = (text: string): void => {
    const line = JSON.parse(text) as LogLine;
    log.push(line);
    if (line.level >= ERROR_LEVEL) errors.push(line);
  };
  const recorder = createRecorder();
  const server = await openServer({
    config,
    sources,
    fixtures: DEFAULT_FIXTURES,
    logger: createLogger(config.logLevel, { write }),
    version,
    ...parts,
    observe: (app) => {
      recorder.observe(app);
      parts.observe?.(app);
    },
  });
  opened.add({ server, recorder, errors });
  const port = Number(new URL(server.url).port);
  return { ...server, port, dataDir, log, takeErrors: () => errors.splice(0) };
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-'));
  folders.add(folder);
  return folder;
}

async function closeTestServers(): Promise<void> {
  closeConnections();
  const all = [...opened];
  opened.clear();
  await Promise.all(all.map(({ server }) => server.close()));
  await Promise.all([...folders].map((folder) => rm(folder, { recursive: true, force: true })));
  folders.clear();
  expect(leaks.splice(0)).toEqual([]);
  expect(
    all.flatMap(({ errors }) => errors),
    'errors that a server logged',
  ).toEqual([]);
  expect(
    all.flatMap(({ recorder }) => recorder.violations),
    'broken promises of openapi.yaml and openapi-admin.yaml',
  ).toEqual([]);
}

/** A JSON answer of the contract. Any of its fields may be missing. */
export interface Wire {
  readonly success: boolean;
  readonly message: string;
  readonly requestId: string;
  readonly data: Readonly<Record<string, unknown>> & { readonly id: string; readonly status: string };
  readonly error: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Empty when the text is not JSON. */
  readonly body: Wire;
}

export interface Asked {
  readonly method?: string;
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: RequestInit['body'];
}

/** Sends with fetch. `path`: a path below the server's address, or a whole address. */
export async function ask(server: Pick<Server, 'url'>, path: string, asked: Asked = {}): Promise<Answer> {
  const { method = 'GET', key, headers = {}, body } = asked;
  const response = await fetch(new URL(path, server.url), {
    method,
    headers: { ...headers, ...(key === undefined ? {} : { 'X-API-Key': key }) },
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: wireOf(text) };
}

export function wireOf(text: string | undefined): Wire {
  try {
    return JSON.parse(text ?? '') as Wire;
  } catch {
    return {} as Wire;
  }
}

export interface SentChunk {
  readonly fileId?: string;
  readonly index?: number;
  readonly total?: number;
  readonly bytes?: Buffer | string;
  readonly key?: string;
  readonly prefix?: '' | '/api/v1';
}

/** Sends one chunk with fetch, as a browser does, with the parts in the order of the vendor's table. */
export function sendChunk(server: Pick<Server, 'url'>, chunk: SentChunk = {}): Promise<Answer> {
  const { fileId = 'f', index = 0, total = 1, bytes = 'bytes', key, prefix = '' } = chunk;
  const body = new FormData();
  body.set('file', new Blob([bytes]), 'blob');
  body.set('chunkIndex', String(index));
  body.set('totalChunks', String(total));
  body.set('fileId', fileId);
  return ask(server, `${prefix}/media/chunks`, {
    method: 'POST',
    body,
    ...(key === undefined ? {} : { key }),
  });
}

/** Sends `content` in `total` chunks. */
export async function sendAll(
  server: Pick<Server, 'url'>,
  {
    fileId = 'f',
    content = Buffer.from('content'),
    total = 1,
    key,
  }: { fileId?: string; content?: Buffer; total?: number; key?: string } = {},
): Promise<void> {
  const size = Math.ceil(content.length / total);
  for (let index = 0; index < total; index += 1) {
    const bytes = content.subarray(index * size, (index + 1) * size);
    const answer = await sendChunk(server, {
      fileId,
      index,
      total,
      bytes,
      ...(key === undefined ? {} : { key }),
    });
    expect(answer.status, answer.text).toBe(200);
  }
}

export function status(
  server: Pick<Server, 'url'>,
  fileId = 'f',
  asked: { key?: string; prefix?: '' | '/api/v1' } = {},
): Promise<Answer> {
  const { prefix = '', ...rest } = asked;
  return ask(server, `${prefix}/media/chunks?fileId=${encodeURIComponent(fileId)}`, rest);
}

/** The size that the status query reports; null when there is no upload. */
export async function sizeOf(
  server: Pick<Server, 'url'>,
  fileId = 'f',
  key?: string,
): Promise<number | null> {
  const { body } = await status(server, fileId, key === undefined ? {} : { key });
  return body.data['exists'] === true ? Number(body.data['currentSize']) : null;
}

export interface Finalise {
  readonly type?: 'videos' | 'images';
  readonly key?: string;
  readonly prefix?: '' | '/api/v1';
  readonly fields?: Readonly<Record<string, string>>;
}

/** Sends the form that the vendor shows: multipart, with fileId and platforms. A field with the value '' is left out. */
export function finalize(server: Pick<Server, 'url'>, fileId = 'f', asked: Finalise = {}): Promise<Answer> {
  const { type = 'videos', key = 'k', prefix = '', fields = {} } = asked;
  const body = new FormData();
  for (const [name, value] of Object.entries({ fileId, platforms: '["instagram"]', ...fields })) {
    if (value !== '') body.set(name, value);
  }
  return ask(server, `${prefix}/media/${type}`, { method: 'POST', key, body });
}

/** The upload as the admin plane shows it. */
export interface UploadView {
  readonly fileId: string;
  readonly namespace: string;
  readonly currentSize: number;
  readonly receivedBytes: number;
  readonly completed: boolean;
  readonly finalizedAs: string | null;
  readonly sha256: string;
  readonly chunks: readonly { index: number; offset: number | null; bytes: number; crc32: string }[];
}

export async function uploadView(
  server: Pick<Server, 'url'>,
  fileId = 'f',
  key?: string,
): Promise<UploadView> {
  const path = `/__admin/uploads/${encodeURIComponent(fileId)}?digest=sha256`;
  const { text } = await ask(server, path, key === undefined ? {} : { key });
  return JSON.parse(text) as UploadView;
}

/** The value of a metric without labels, or with exactly these. */
export async function metric(server: Pick<Server, 'url'>, name: string): Promise<number> {
  const { text } = await ask(server, '/__admin/metrics');
  const line = text.split('\n').find((one) => one.startsWith(`xenonflare_mock_${name} `));
  return Number(line?.split(' ').at(-1) ?? 0);
}

/** Moves the clock of this key's namespace ahead. When it resolves, everything that became due is done. */
export async function advanceClock(
  server: Pick<Server, 'url'>,
  advanceMs: number,
  key?: string,
): Promise<void> {
  const asked = {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ advanceMs }),
  };
  const answer = await ask(server, '/__admin/clock', key === undefined ? asked : { ...asked, key });
  expect(answer.status, answer.text).toBe(200);
}

const PATIENCE_MS = 60_000;

/** Reads again and again until the value is as wanted; fails when that takes too long. */
export async function eventually<T>(look: () => T | Promise<T>, isWanted: (seen: T) => boolean): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const seen = await look();
    if (isWanted(seen)) return seen;
    if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(seen)}`);
    await delay(5);
  }
}
