// seeded-bytes.ts: makes the same bytes from the same seed, in the page, which uploads them, and in Node, which computes their
// digest. Both sides run this file, so that megabytes need not be transferred between them.

export function seededBytes(seed: number, length: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed >>> 0;
  for (let at = 0; at < words.length; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    words[at] = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d);
  }
  return new Uint8Array(words.buffer, 0, length);
}
