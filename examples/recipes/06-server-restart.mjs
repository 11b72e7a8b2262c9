// 06: the server is killed when it has received half of a chunk, and is started again on the same folder. Everything that it
// acknowledged is still there, and the client continues from there. This server is a process of its own, so the rule is armed over
// HTTP.
//
// From a shell:
//   curl -H 'X-API-Key: demo' http://127.0.0.1:4310/__admin/rules --json \
//     '{"id": "freeze", "match": {"chunkIndex": 2}, "fault": "stall@body:128KiB"}'
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { upload } from '../uploader.mjs';

const folder = await mkdtemp(join(tmpdir(), 'recipe-06-'));
const command = fileURLToPath(new URL('main.js', import.meta.resolve('xenonflare-mock'))); // npx xenonflare-mock
async function start(port) {
  const flags = ['serve', '--port', port, '--data-dir', folder, '--log-level', 'warn'];
  const child = spawn(process.execPath, [command, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.once('exit', () => child.kill('SIGKILL'));
  const [ready] = await once(child.stdout, 'data');
  return { child, ...JSON.parse(ready) };
}
async function admin(path, body) {
  const headers = { 'X-API-Key': 'demo', 'Content-Type': 'application/json' };
  const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  return (await fetch(`${first.adminUrl}${path}`, { headers, ...init })).json();
}

const first = await start('0');
const rule = { id: 'freeze', match: { chunkIndex: 2 }, fault: 'stall@body:128KiB' };
console.log(`Armed: ${(await admin('/rules', rule)).rules[0].explain}`);
const bytes = randomBytes(1024 * 1024);
const client = { url: first.url, apiKey: 'demo', fileId: 'holiday', chunkBytes: 256 * 1024, backoffMs: 200 };
const onRetry = (error, waitMs) => console.log(`client: ${error.message}, again in ${Math.round(waitMs)} ms`);
const uploading = upload(new Blob([bytes]), { ...client, onRetry });
assert.equal((await admin('/rules/freeze/wait', { timeoutMs: 20_000 })).fired, 1);
first.child.kill('SIGKILL');
await once(first.child, 'exit');
console.log('Killed the server; starting it again.');
const second = await start(new URL(first.url).port);
const entry = await uploading;

const chunks = (await admin('/requests?operation=uploadChunk')).requests;
console.log('The second process was sent the chunks', ...chunks.map(({ upload: of }) => of.chunkIndex));
assert.deepEqual(
  chunks.map(({ committed }) => committed.offset),
  [512 * 1024, 768 * 1024],
);
const stored = await admin(`/media/${entry.id}?digest=sha256`);
assert.equal(stored.sha256, createHash('sha256').update(bytes).digest('hex'));
assert.equal((await admin('/media')).meta.total, 1);
second.child.kill();
await once(second.child, 'exit');
await rm(folder, { recursive: true });
