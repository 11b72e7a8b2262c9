// 04: a proxy in front of the server answers 502 with an HTML page. The client must not fail because the body is not JSON.
//
// From a shell:
//   curl -H 'X-API-Key: demo' http://127.0.0.1:4310/__admin/rules --json \
//     '{"id": "proxy", "match": {"chunkIndex": 1}, "fault": "status@headers:502,html"}'
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { startServer } from 'xenonflare-mock';
import { upload } from '../uploader.mjs';

const server = await startServer();
const [rule] = server.rules.add({ id: 'proxy', match: { chunkIndex: 1 }, fault: 'status@headers:502,html' });
console.log(`Armed: ${rule.explain}`);

const bytes = randomBytes(1024 * 1024);
const client = { url: server.url, apiKey: 'demo', fileId: 'holiday', chunkBytes: 256 * 1024, backoffMs: 100 };
const onRetry = (error, waitMs) => console.log(`client: ${error.message}, again in ${Math.round(waitMs)} ms`);
const entry = await upload(new Blob([bytes]), { ...client, onRetry });
for (const { seq, operation, upload: of, response, committed, fault } of server.journal.find()) {
  const what = operation === 'uploadChunk' ? `chunk ${of.chunkIndex}` : operation;
  const kept = committed === null ? '' : `, ${committed.bytes} bytes stored`;
  const by = fault === null ? '' : ` <- ${fault.effect}@${fault.phase}, rule ${fault.ruleId}`;
  console.log(`#${seq} ${what}: ${response?.status ?? 'no answer'}${kept}${by}`);
}

server.journal.expect({
  expect: [{ match: { chunkIndex: 1 }, count: 2 }],
  sequence: [
    { chunkIndex: 1, status: 502, ruleId: 'proxy' },
    { chunkIndex: 1, status: 200 },
  ],
  never: ['acknowledged chunk re-sent'],
});
const sha256 = (content) => createHash('sha256').update(content).digest('hex');
assert.equal(sha256(await server.media.content(entry.id)), sha256(bytes));
assert.equal((await server.media.list()).length, 1);
await server.close();
