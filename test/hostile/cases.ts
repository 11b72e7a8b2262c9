// hostile/cases.ts: the kinds of hostile cases, how often each comes, and case n of a seed.
import { diceOf, type Dice } from '../helpers/seed.ts';
import { adminBomb, adminYaml, gzipBomb, jsonBomb, multipartDamage, urlencoded } from './bodies.ts';
import type { Generator, HostileCase } from './hostile-case.ts';
import {
  absurdLength,
  expectation,
  foreignProtocol,
  halfClosed,
  headerFlood,
  hiddenRequest,
  oddHeader,
  oddRequestLine,
  oddTarget,
  pipelining,
  slow,
  smuggling,
  torn,
  upgrade,
} from './streams.ts';

const KINDS = {
  'multipart damage': { weight: 300, generate: multipartDamage },
  'JSON bomb': { weight: 110, generate: jsonBomb },
  urlencoded: { weight: 30, generate: urlencoded },
  'gzip bomb': { weight: 20, generate: gzipBomb },
  'admin JSON': { weight: 120, generate: adminBomb },
  'admin YAML': { weight: 10, generate: adminYaml },
  'odd header': { weight: 50, generate: oddHeader },
  'header flood': { weight: 20, generate: headerFlood },
  'odd target': { weight: 70, generate: oddTarget },
  'odd request line': { weight: 30, generate: oddRequestLine },
  smuggling: { weight: 120, generate: smuggling },
  'hidden request': { weight: 30, generate: hiddenRequest },
  'absurd length': { weight: 15, generate: absurdLength },
  pipelining: { weight: 30, generate: pipelining },
  'half-closed': { weight: 30, generate: halfClosed },
  torn: { weight: 30, generate: torn },
  upgrade: { weight: 15, generate: upgrade },
  'foreign protocol': { weight: 20, generate: foreignProtocol },
  expectation: { weight: 15, generate: expectation },
  slow: { weight: 15, generate: slow },
} as const satisfies Record<string, { weight: number; generate: Generator }>;

export type Kind = keyof typeof KINDS;
export const KIND_NAMES = Object.keys(KINDS) as Kind[];

const BAG = KIND_NAMES.flatMap((kind) => Array<Kind>(KINDS[kind].weight).fill(kind));

/** Good HTTP around a bad body. */
const BODIES: readonly Kind[] = [
  'multipart damage',
  'JSON bomb',
  'urlencoded',
  'gzip bomb',
  'admin JSON',
  'admin YAML',
];

export function isBody(kind: Kind): boolean {
  return BODIES.includes(kind);
}

/** Neighbouring numbers give seeds that are far apart, so that their dice are unrelated. */
function diceFor(seed: number, n: number): Dice {
  return diceOf(Math.imul(seed, 0x9e3779b1) ^ Math.imul(n + 1, 0x85ebca6b));
}

export function kindOf(seed: number, n: number): Kind {
  return diceFor(seed, n).pick(BAG);
}

export function caseOf(seed: number, n: number): HostileCase {
  const dice = diceFor(seed, n);
  return KINDS[dice.pick(BAG)].generate({ n, dice });
}
