// cli/demo.ts: shows that an upload loses no bytes when its server is killed half way.
//
// Promises: every printed figure was measured in this run. The exit code is 0 only if every comparison held, otherwise 1
// with a sentence. No process and no file is left behind.
// The demo knows the server only over the wire.
import { createHash, randomFillSync } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monotonicMs } from '../core/machine-time.ts';
import { startTimer } from '../core/timers.ts';
import {
  askCurrentSize,
  createVideo,
  DemoFailure,
  getVideo,
  sendChunk,
  sendHalfChunk,
  storedDigest,
  type Chunk,
} from './demo-client.ts';
import { startDemoServer, type DemoServer } from './demo-server.ts';
import { Progress, type Output } from './progress.ts';

const MIB = 1024 ** 2;
const CHUNK_BYTES = 8 * MIB;
const CHUNKS = 25;
const FILE_BYTES = CHUNKS * CHUNK_BYTES;
/** This chunk is half sent when the server is killed. */
const BROKEN_CHUNK = 12;
const FILE_ID = 'demo-upload';
const POLL_MS = 200;
const POLL_LIMIT_MS = 30_000;
const EXIT_INTERRUPTED = 130;

/** Shared by the steps. */
interface Stage {
  readonly output: Output;
  readonly folder: string;
  readonly dataDir: string;
  readonly abandoned: AbortSignal;
  readonly step: (...lines: string[]) => void;
  server: DemoServer | null;
}

interface SourceFile {
  readonly file: FileHandle;
  readonly sha256: string;
}

/** Resolves to the exit code. */
export async function demo(output: Output): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-demo-'));
  const abandon = new AbortController();
  const stage: Stage = {
    output,
    folder,
    dataDir: join(folder, 'data'),
    abandoned: abandon.signal,
    step: stepsOn(output),
    server: null,
  };
  const interrupted = (): void => {
    abandon.abort();
    rmSync(folder, { recursive: true, force: true });
    process.exit(EXIT_INTERRUPTED);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupted);
  try {
    await perform(stage);
    return 0;
  } catch (error) {
    if (!(error instanceof DemoFailure)) throw error;
    output.write(`\nThe demo failed. ${error.message}\n`);
    return 1;
  } finally {
    await stage.server?.kill('SIGTERM');
    await rm(folder, { recursive: true, force: true });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, interrupted);
  }
}

function stepsOn(output: Output): Stage['step'] {
  let number = 0;
  return (first, ...rest) => {
    number += 1;
    output.write(`${String(number).padStart(2)}. ${[first, ...rest].join('\n    ')}\n`);
  };
}

async function perform(stage: Stage): Promise<void> {
  const startedAt = monotonicMs();
  stage.output.write('An upload whose server is killed half way. Nothing may be lost.\n\n');
  await mkdir(stage.dataDir);
  const source = await makeFile(stage);
  try {
    stage.server = await startDemoServer(stage.dataDir, stage.abandoned);
    const { url, pid } = stage.server;
    stage.step(
      `Started a server: ${url}, process ${pid}.`,
      'It syncs every chunk to disk before it answers.',
    );
    await uploadAndKill(stage, stage.server, source);
    await resume(stage, await restart(stage), source);
  } finally {
    await source.file.close();
  }
  stage.output.write(`\nNothing was lost. It took ${secondsSince(startedAt)}.\n`);
}

async function makeFile({ folder, step }: Stage): Promise<SourceFile> {
  const file = await open(join(folder, 'demo.mp4'), 'wx+');
  const hash = createHash('sha256');
  const block = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let index = 0; index < CHUNKS; index += 1) {
    hash.update(randomFillSync(block));
    await file.write(block);
  }
  const sha256 = hash.digest('hex');
  step(`Made a file of ${FILE_BYTES / MIB} MiB of random bytes. SHA-256: ${short(sha256)}`);
  return { file, sha256 };
}

async function readChunk({ file }: SourceFile, index: number): Promise<Chunk> {
  const bytes = Buffer.allocUnsafe(CHUNK_BYTES);
  await file.read(bytes, 0, CHUNK_BYTES, index * CHUNK_BYTES);
  return { fileId: FILE_ID, index, total: CHUNKS, bytes };
}

async function uploadAndKill(stage: Stage, server: DemoServer, source: SourceFile): Promise<void> {
  const { output, step } = stage;
  step(`Uploading it in ${CHUNKS} chunks of ${CHUNK_BYTES / MIB} MiB, numbered 0 to ${CHUNKS - 1}:`);
  const progress = new Progress(output, FILE_BYTES);
  for (let index = 0; index < BROKEN_CHUNK; index += 1) {
    await sendChunk(server.url, await readChunk(source, index));
    progress.show((index + 1) * CHUNK_BYTES);
  }
  const error = await sendHalfChunk(server.url, await readChunk(source, BROKEN_CHUNK), () =>
    server.kill('SIGKILL'),
  );
  progress.end();
  step(
    `Killed the server (SIGKILL) with half of chunk ${BROKEN_CHUNK} sent: ${CHUNK_BYTES / 2 / MIB} MiB of ${CHUNK_BYTES / MIB}.`,
    `The client saw its connection break: ${error}.`,
  );
}

async function restart(stage: Stage): Promise<DemoServer> {
  const startedAt = monotonicMs();
  const server = await startDemoServer(stage.dataDir, stage.abandoned);
  stage.server = server;
  stage.step(`Started it again on the same folder: ready after ${secondsSince(startedAt)}.`);
  return server;
}

async function resume(stage: Stage, server: DemoServer, source: SourceFile): Promise<void> {
  const { output, step } = stage;
  const currentSize = await askCurrentSize(server.url, FILE_ID);
  const acknowledged = BROKEN_CHUNK * CHUNK_BYTES;
  if (currentSize !== acknowledged) {
    throw new DemoFailure(
      `The server acknowledged ${bytesText(acknowledged)} before it was killed, and has ${bytesText(currentSize)} now.`,
    );
  }
  const next = currentSize / CHUNK_BYTES;
  step(
    `Asked how much is there (GET /media/chunks): ${bytesText(currentSize)}.`,
    `Those are chunks 0 to ${next - 1}: all that was acknowledged, nothing of the broken one.`,
  );
  step(`Going on with chunk ${next}:`);
  const progress = new Progress(output, FILE_BYTES, currentSize);
  let isComplete = false;
  for (let index = next; index < CHUNKS; index += 1) {
    isComplete = await sendChunk(server.url, await readChunk(source, index));
    progress.show((index + 1) * CHUNK_BYTES);
  }
  progress.end();
  if (!isComplete) throw new DemoFailure('Every chunk was sent, but the server does not call it complete.');
  await finalise(stage, server, source);
}

async function finalise({ step }: Stage, server: DemoServer, { sha256 }: SourceFile): Promise<void> {
  const startedAt = monotonicMs();
  const { id, status } = await createVideo(server.url, FILE_ID);
  step(`Finalised it (POST /media/videos): entry ${id}, ${status}.`);
  await untilCompleted(server, id);
  step(`The entry is completed, ${secondsSince(startedAt)} later.`);
  const stored = await storedDigest(server.adminUrl, id);
  if (stored.sha256 !== sha256 || stored.bytes !== FILE_BYTES) {
    throw new DemoFailure(
      `Sent were ${bytesText(FILE_BYTES)} with SHA-256 ${sha256}, stored are ${bytesText(stored.bytes)} with ${stored.sha256}.`,
    );
  }
  step(
    'Compared what was sent with what is stored:',
    `sent    ${bytesText(FILE_BYTES)}, SHA-256 ${short(sha256)}`,
    `stored  ${bytesText(stored.bytes)}, SHA-256 ${short(stored.sha256)}`,
  );
}

async function untilCompleted(server: DemoServer, id: string): Promise<void> {
  const deadline = monotonicMs() + POLL_LIMIT_MS;
  for (;;) {
    const { status } = await getVideo(server.url, id);
    if (status === 'completed') return;
    if (status === 'failed' || monotonicMs() > deadline)
      throw new DemoFailure(`The entry ${id} should have become completed, but it is ${status}.`);
    await new Promise<void>((resolve) => startTimer(POLL_MS, resolve));
  }
}

function secondsSince(startedAt: number): string {
  return `${((monotonicMs() - startedAt) / 1000).toFixed(1)} s`;
}

function bytesText(bytes: number): string {
  const whole = bytes % MIB === 0 ? `${bytes / MIB} MiB, ` : '';
  return `${whole}${bytes.toLocaleString('en')} bytes`;
}

/** Shortened for a person; the comparison uses the whole digest. */
function short(sha256: string): string {
  return `${sha256.slice(0, 16)}…`;
}
