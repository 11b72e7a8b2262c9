// bench/reading.mjs: what it costs that stored bytes are held against their CRC-32s when they are read: the same bytes over the same
// HTTP server, by the product's reader and without it, in turn. `npm run bench:reading`
//
// Not a scenario of `npm run bench`: the product has no way to read without. The client is a process of its own, so that the CPU time
// is the server's. Which of a pair comes first changes with each pair.
import { fork } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, get } from 'node:http';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { ContentSums } from '../dist/integrity/content-sums.js';
import { DamageBook } from '../dist/integrity/damage-book.js';
import { VerifiedReader } from '../dist/integrity/verified-reader.js';
import { openDiskStorage } from '../dist/storage/disk.js';

const MIB = 1024 * 1024;
const CHUNK_BYTES = 8 * MIB;
const CHUNKS = 32;
const PAIRS = 15;
const MIB_PER_GIB = 1024;
/** CPU time of the server with the check, in times of that without. */
const GOAL = 1.15;

if (process.send === undefined) await measure();
else serveAsClient(Number(process.argv[2]));

/** Reads what it is told to, and says when it has all of it. */
function serveAsClient(port) {
  process.on('message', (path) => {
    get({ port, path, host: '127.0.0.1' }, (answer) => {
      answer.resume().on('end', () => process.send('read'));
    });
  });
}

async function measure() {
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

  const client = fork(fileURLToPath(import.meta.url), [String(port)]);
  await once(client, 'spawn');

  /** MiB/s, and CPU seconds of the server per GiB. */
  async function costOf(path) {
    const [began, used] = [performance.now(), process.cpuUsage()];
    client.send(path);
    await once(client, 'message');
    const { user, system } = process.cpuUsage(used);
    const seconds = (performance.now() - began) / 1_000;
    return { speed: bytes / MIB / seconds, cpu: ((user + system) / 1e6 / (bytes / MIB)) * MIB_PER_GIB };
  }

  for (const path of ['/with', '/without']) await costOf(path); // Warm.
  const loadBefore = loadavg()[0];
  const results = { '/with': [], '/without': [] };
  for (let pair = 0; pair < PAIRS; pair += 1)
    for (const path of pair % 2 === 0 ? ['/with', '/without'] : ['/without', '/with'])
      results[path].push(await costOf(path));
  const summary = (path) => ['cpu', 'speed'].map((what) => median(results[path].map((one) => one[what])));
  const [[cpuWith, speedWith], [cpuWithout, speedWithout]] = [summary('/with'), summary('/without')];
  const ratios = results['/with']
    .map(({ cpu }, at) => cpu / results['/without'][at].cpu)
    .toSorted((a, b) => a - b);
  const ratio = median(ratios);
  console.info(
    [
      `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown CPU'}, load ${loadBefore.toFixed(1)} before and ${loadavg()[0].toFixed(1)} after`,
      `${bytes / MIB} MiB in chunks of ${CHUNK_BYTES / MIB} MiB, from the page cache, over one connection; ${PAIRS} pairs in turn, medians`,
      `with CRC-32:    ${cpuWith.toFixed(3)} CPU s/GiB, ${speedWith.toFixed(0)} MiB/s`,
      `without:        ${cpuWithout.toFixed(3)} CPU s/GiB, ${speedWithout.toFixed(0)} MiB/s`,
      `CPU, of a pair: ${ratio.toFixed(2)} × (${ratios[0].toFixed(2)} to ${ratios.at(-1).toFixed(2)}), wanted ≤ ${GOAL} ×: ${ratio <= GOAL ? 'reached' : 'missed'}`,
    ].join('\n'),
  );
  client.disconnect();
  server.close();
  server.closeAllConnections();
  await storage.close();
  await rm(folder, { recursive: true });
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
