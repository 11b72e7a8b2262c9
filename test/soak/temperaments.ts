// soak/temperaments.ts: the kinds of uploader, and how well each behaves: one line for each kind.
//
// Must not know: how they do it.
import type { Dice } from '../helpers/dice.ts';

export type SizeKind = 'one' | 'tiny' | 'medium' | 'large';

export interface Temperament {
  readonly name: string;
  readonly sizes: SizeKind;
  /** How many chunks it sends at once; one where chunks must come in sequence. */
  readonly parallel: number;
  /** How many finalise requests it sends at once. */
  readonly finalisers: number;
  readonly isKeyless: boolean;
  /** The longest pause before its next file, and now and then between chunks. */
  readonly thinkMs: number;
  /** How often it does that: a share of its chunks, or of its uploads. */
  readonly fileFirst: number;
  readonly cuts: number;
  readonly silent: number;
  readonly repeats: number;
  readonly provokes: number;
  readonly abandons: number;
  readonly forgettable: number;
}

const CAREFUL: Omit<Temperament, 'name'> = {
  sizes: 'medium',
  parallel: 1,
  finalisers: 1,
  isKeyless: false,
  thinkMs: 200,
  fileFirst: 0,
  cuts: 0,
  silent: 0,
  repeats: 0,
  provokes: 0,
  abandons: 0,
  forgettable: 0,
};

export const TEMPERAMENTS: readonly Temperament[] = [
  { ...CAREFUL, name: 'careful' },
  { ...CAREFUL, name: 'large', sizes: 'large', thinkMs: 400, fileFirst: 0.3 },
  { ...CAREFUL, name: 'tiny', sizes: 'tiny', fileFirst: 0.5 },
  { ...CAREFUL, name: 'file-first', fileFirst: 1 },
  { ...CAREFUL, name: 'one-chunk', sizes: 'one', fileFirst: 0.5, isKeyless: true },
  { ...CAREFUL, name: 'keyless', fileFirst: 0.5, isKeyless: true },
  { ...CAREFUL, name: 'aborter', cuts: 0.35, fileFirst: 0.5 },
  { ...CAREFUL, name: 'large-aborter', sizes: 'large', cuts: 0.4, fileFirst: 0.5, thinkMs: 600 },
  { ...CAREFUL, name: 'silent', silent: 0.2, fileFirst: 0.3 },
  { ...CAREFUL, name: 'repeater', repeats: 0.5, provokes: 0.4, fileFirst: 0.3 },
  { ...CAREFUL, name: 'finaliser', sizes: 'tiny', finalisers: 6 },
  { ...CAREFUL, name: 'parallel', parallel: 4, fileFirst: 0.3, repeats: 0.1 },
  {
    ...CAREFUL,
    name: 'parallel-large',
    sizes: 'large',
    parallel: 3,
    cuts: 0.1,
    fileFirst: 0.5,
    thinkMs: 600,
  },
  { ...CAREFUL, name: 'abandoner', abandons: 0.7, fileFirst: 0.3 },
  { ...CAREFUL, name: 'unlucky', forgettable: 1, fileFirst: 0.3 },
];

const KIB = 1024;
const MIB = 1024 * KIB;

/** Chunks of one file need not be equally long. */
export function drawSizes(dice: Dice, kind: SizeKind): number[] {
  const some = (least: number, most: number, draw: () => number): number[] =>
    Array.from({ length: dice.between(least, most) }, draw);
  if (kind === 'one') return [dice.chance(0.1) ? 0 : dice.between(1, 300 * KIB)];
  if (kind === 'tiny') return some(2, 25, () => dice.between(1, 2 * KIB));
  if (kind === 'medium') return some(2, 8, () => dice.between(KIB, 256 * KIB));
  return some(1, 3, () => dice.between(MIB, 8 * MIB));
}
