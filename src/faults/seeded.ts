// faults/seeded.ts: a repeatable sequence of random numbers, for a namespace's ids, jitter and probabilities.
//
// Promises: the same seed gives the same sequence on every machine. Not for secrets.

/** SFC32 needs some rounds until the seed has spread over its whole state. */
const WARM_UP_ROUNDS = 20;

/** Uniform in [0, 1). A number and its decimal text are the same seed. */
export function createSequence(seed: string | number): () => number {
  const hash = hashOf(String(seed));
  let [a, b, c, counter] = [hash(), hash(), hash(), 1];
  // SFC32 of PractRand: its period is at least 2^32, and 2^127 on average.
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let round = 0; round < WARM_UP_ROUNDS; round += 1) next();
  return next;
}

/** FNV-1a over the UTF-16 units, then one murmur3 finaliser per call; each call gives one word of the state. */
function hashOf(text: string): () => number {
  let word = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) word = Math.imul(word ^ text.charCodeAt(at), 0x01000193);
  return () => {
    word = (word + 0x9e3779b9) | 0;
    let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return mixed ^ (mixed >>> 16);
  };
}
