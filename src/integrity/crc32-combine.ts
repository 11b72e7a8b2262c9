// integrity/crc32-combine.ts: computes the CRC-32 of two joined stretches from the CRC-32 of each, without their bytes. Pure.
//
// A CRC is a remainder of polynomials over GF(2): that of `a` followed by n bytes is crc(a) · x^(8n) modulo the polynomial, and the
// CRC of what follows is added to it. Bits are reflected, as in zlib, whose crc32_combine() this is.
const POLYNOMIAL = 0xedb88320;
const X0 = 0x80000000;
const POWERS = 32;

/** x^(2^k) for k = 0…31; after that they repeat, since 2^32 is 1 modulo the order of x. */
const squares: number[] = [];
for (let k = 0, power = 0x40000000; k < POWERS; k += 1) {
  squares.push(power);
  power = multiply(power, power);
}

/** a · b modulo the polynomial. */
function multiply(a: number, b: number): number {
  let product = 0;
  let factor = b;
  for (let bit = X0; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= factor;
    factor = (factor & 1) === 0 ? factor >>> 1 : (factor >>> 1) ^ POLYNOMIAL;
  }
  return product >>> 0;
}

/** x^(8 · bytes) modulo the polynomial. */
function shiftOf(bytes: number): number {
  let shift = X0;
  // Numbers beyond 2^32: by division, since bit operations see 32 bits only. The first factor is x^8, which is squares[3].
  for (let left = bytes, k = 3; left > 0; left = Math.floor(left / 2), k += 1)
    if (left % 2 === 1) shift = multiply(squares[k % POWERS] ?? 0, shift);
  return shift;
}

let lastBytes = -1;
let lastShift = 0;

/** @param bytes the length of the second stretch. Most chunks have the same size, so the last factor is cached. */
export function combineCrc32(first: number, second: number, bytes: number): number {
  if (bytes !== lastBytes) {
    lastShift = shiftOf(bytes);
    lastBytes = bytes;
  }
  return (multiply(lastShift, first) ^ second) >>> 0;
}
