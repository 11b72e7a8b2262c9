// core/hex32.ts: a 32-bit number as eight hexadecimal digits. This is how a CRC-32 is shown and stored.

const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Works byte by byte: `toString(16)` is ten times slower for numbers beyond 31 bits, and every chunk shows several. */
export function hex32(value: number): string {
  const digits = (shift: number): string => DIGITS[(value >>> shift) & 0xff] ?? '';
  return digits(24) + digits(16) + digits(8) + digits(0);
}
