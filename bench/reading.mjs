// bench/reading.mjs: what it costs that stored bytes are held against their CRC-32s when they are read: the same bytes over the same
// HTTP server, with and without, in turn. `npm run bench:reading`
//
// Not a scenario of `npm run bench`: the product has no way to read without.
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import { ContentSums } from '../dist/integrity/content-sums.js';
import { DamageBook } from '../dist/integrity/damage-book.js';
import { VerifiedReader } from '../dist/integrity/verified-reader.js';
import { openDiskStorage } from '../dist/storage/disk/disk-storage.js';

const MIB = 1024 * 1024;
const CHUNK_BYTES = 8 * MIB;
const CHUNKS = 32;
const PAIRS = 9;

const folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-bench-'));
const storage = await openDiskStorage(folder, 'none');
const place = { kind: 'uploads', namespace: 'public', name: createHash('sha1').digest('hex') };
const chunks = [];
for (let index = 0; index < CHUNKS; index += 1) {
  const chunk = randomBytes(CHUNK_BYTES);
  await storage.bytes.write(place, { segment: 'main', offset: index * CHUNK_BYTES }, [chunk]);
  chunks.push({ index, bytes: CHUNK_BYTES, crc32: crc32(chunk) });
}
const bytes = CHUNKS * CHUNK_BYTES;
const extents = [{ segment: 'main', offset: 0, bytes }];
const sums = ContentSums.ofChunks(chunks, CHUNKS);
const content = { place, extents, bytes, currentSize: bytes, sums };
const reader = new VerifiedReader(storage.bytes, new DamageBook((error) => console.error(error)));
const server = createServer(({ url }, response) => {
  const pieces =
    url === '/with' ? reader.read(() => Promise.resolve(content)) : storage.bytes.read(place, extents);
  Readable.from(pieces).pipe(response);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const { port } = server.address();

/** MiB/s, and CPU milliseconds of server and client together. */
function speedOf(path) {
  const [began, used] = [performance.now(), process.cpuUsage()];
  return new Promise((resolve, reject) => {
    get({ port, path, host: '127.0.0.1' }, (answer) => {
      answer.resume();
      answer.on('end', () => {
        const { user, system } = process.cpuUsage(used);
        resolve([bytes / MIB / ((performance.now() - began) / 1_000), (user + system) / 1_000]);
      });
    }).on('error', reject);
  });
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

for (const path of ['/with', '/without']) await speedOf(path); // Warm.
const [withSums, without] = [[], []];
for (let pair = 0; pair < PAIRS; pair += 1) {
  withSums.push(await speedOf('/with'));
  without.push(await speedOf('/without'));
}
const of = (results, at) => median(results.map((result) => result[at]));
console.info(
  `reading ${bytes / MIB} MiB, medians of ${PAIRS} pairs, with CRC-32 and without: ` +
    `${of(withSums, 0).toFixed(0)} and ${of(without, 0).toFixed(0)} MiB/s, ` +
    `${of(withSums, 1).toFixed(0)} and ${of(without, 1).toFixed(0)} ms of CPU (${(of(withSums, 1) / of(without, 1)).toFixed(2)} ×)`,
);
server.close();
server.closeAllConnections();
await storage.close();
await rm(folder, { recursive: true });
