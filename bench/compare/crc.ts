// bench/compare/crc.ts: measures the present cost of a CRC-32 on this machine. Our server computes one over every file byte and
// cannot switch it off, so its share is measured separately.
//
// Method: `zlib.crc32`, continued over pieces of the size in which a body comes from a socket.
import { crc32 } from 'node:zlib';
import type { Scale } from './scale.ts';
import type { SpecialName } from './goals.ts';

const PIECE_BYTES = 64 * 1024;
const GIB = 1024 ** 3;
/** Larger than the cache of one core, as the bytes of a body are. */
const BUFFER = Buffer.alloc(8 * 1024 ** 2, 'xenonflare');

export function measureCrc({ crcBytes }: Scale): Partial<Record<SpecialName, number>> {
  const before = process.cpuUsage();
  let sum = 0;
  for (let at = 0; at < crcBytes; at += PIECE_BYTES) {
    const from = at % BUFFER.length;
    sum = crc32(BUFFER.subarray(from, from + PIECE_BYTES), sum);
  }
  const { user, system } = process.cpuUsage(before);
  return { 'crc32-cpu-per-gib': (user + system) / 1e6 / (crcBytes / GIB) };
}
