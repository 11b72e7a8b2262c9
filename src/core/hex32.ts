// core/hex32.ts: a 32-bit number in eight hexadecimal digits: how a CRC-32 is shown and stored. A leaf.

const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** By bytes: `toString(16)` takes ten times as long for a number beyond 31 bits, and every chunk shows several. */
export function hex32(value: number): string {
  const digits = (shift: number): string => DIGITS[(value >>> shift) & 0xff] ?? '';
  return digits(24) + digits(16) + digits(8) + digits(0);
}
