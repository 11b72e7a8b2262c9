// faults/fault.ts: the fault language (behaviour §10): turns a text such as `reset@body:256KiB`, or an object, into a `Fault`.
//
// Promises: nothing here throws. An impossible combination is refused with a list of the possible ones. A text means the
// object with the same names, so both are checked by the same table.
import { byteCount, EFFECT_NAMES, EFFECTS, PHASES, specOf } from './effects.ts';
import type { Effect, Fault, Phase, PhaseName } from './effects.ts';
import { problemsOf, type PlacedProblem } from '../core/problems.ts';

type Fields = Readonly<Record<string, unknown>>;
interface Meaning {
  readonly effect: Effect;
  /** What the name fixes besides the effect. */
  readonly fields: Fields;
}

/** WireMock's names. Its malformed chunk comes after the head of an answer, its random data replaces the answer. */
const ALIASES: ReadonlyMap<string, Meaning> = new Map([
  ['CONNECTION_RESET_BY_PEER', { effect: 'reset', fields: {} }],
  ['EMPTY_RESPONSE', { effect: 'close', fields: {} }],
  ['MALFORMED_RESPONSE_CHUNK', { effect: 'garbage', fields: { atByte: 0 } }],
  ['RANDOM_DATA_THEN_CLOSE', { effect: 'garbage', fields: {} }],
]);

const TEXT = /^(?<effect>[\w-]+)\s*(?:@(?<phase>[^:]*))?(?::(?<list>.*))?$/s;

/** Commas separate arguments, except for the comma inside an HTTP-date. */
const COMMA = /,(?! \d{2} [A-Z][a-z]{2} \d{4} )/;

/** A fault, or all problems of the text or object. */
export type FaultReading = { readonly fault: Fault } | { readonly problems: readonly PlacedProblem[] };

/**
 * ```
 * fault    = effect [ "@" phase ] [ ":" argument *( "," argument ) ]     reset@body:256KiB   delay:250ms,jitterMs=50
 * argument = value | name "=" value | flag                               status@headers:503,retryAfter=2,closing
 * ```
 * Without a phase the effect's default phase applies. A value without a name is the byte, if the phase is `body` or
 * `response` and the effect takes a byte; otherwise, and if the value cannot be a byte (`stall@body:5s`), the value is the
 * effect's main parameter. Values with a comma need the object: `{"effect":"reset","phase":"body","atByte":"256KiB"}`, or
 * `"phase":"body:256KiB"`. WireMock's names of faults are effects, too.
 */
export function readFault(value: unknown): FaultReading {
  if (typeof value === 'string') return readText(value.trim());
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return readObject({ ...value });
  return refusal('expected a fault such as "reset@post-commit", or an object with an "effect"');
}

/** `reset@body:1000`: the fault's effect, phase and byte, as a person would write them. */
export function nameOfFault({ effect, phase }: Pick<Fault, 'effect' | 'phase'>): string {
  return `${effect}@${phase.name}${phase.atByte === undefined ? '' : `:${phase.atByte}`}`;
}

function refusal(message: string, ...path: string[]): { problems: PlacedProblem[] } {
  return { problems: [{ path, message }] };
}

function readObject(given: Fields): FaultReading {
  const { effect: name, ...fields } = given;
  const meaning = meaningOf(name);
  if (meaning === null) return refusal(unknownEffect(name), 'effect');
  const { phase: place, atByte, ...params } = { ...meaning.fields, ...fields };
  const reading = readPhase(meaning.effect, place, atByte);
  if ('problems' in reading) return reading;
  const { phase } = reading;
  const result = specOf(meaning.effect).params.safeParse(params);
  // The table's schema of this effect made these values; the type system cannot express that they belong together.
  if (result.success) return { fault: { effect: meaning.effect, phase, ...result.data } as Fault };
  return { problems: problemsOf(result.error.issues, unknownParameter(meaning.effect, phase.name)) };
}

function meaningOf(name: unknown): Meaning | null {
  if (typeof name !== 'string') return null;
  return ALIASES.get(name) ?? (isEffect(name) ? { effect: name, fields: {} } : null);
}

function isEffect(name: string): name is Effect {
  return Object.hasOwn(EFFECTS, name);
}

function unknownEffect(name: unknown): string {
  return `${shown(name)} is not an effect; expected one of ${EFFECT_NAMES.join(', ')}`;
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : `a value of type ${typeof value}`;
}

type PhaseReading = { readonly phase: Phase } | { readonly problems: readonly PlacedProblem[] };

function readPhase(effect: Effect, place: unknown, atByte: unknown): PhaseReading {
  const { phases } = specOf(effect);
  if (place !== undefined && typeof place !== 'string') return refusal(impossible(effect, place), 'phase');
  const [name, ...rest] = place?.split(':') ?? phases.slice(0, 1);
  const known = phases.find((phase) => phase === name);
  if (known === undefined) return refusal(impossible(effect, place), 'phase');
  if (rest.length === 0) return withByte(effect, known, atByte);
  if (atByte === undefined) return withByte(effect, known, rest.join(':'));
  return refusal('the phase names a byte already; give one of them', 'atByte');
}

function impossible(effect: Effect, place: unknown): string {
  const possible = specOf(effect).phases.map((phase) => `${effect}@${phase}`);
  const phase = PHASES.find(
    (name) => place === name || (typeof place === 'string' && place.startsWith(`${name}:`)),
  );
  const what = phase === undefined ? `${shown(place)} is not a phase` : `${effect}@${phase} cannot happen`;
  return `${what}; possible: ${possible.join(', ')}`;
}

function withByte(effect: Effect, name: PhaseName, atByte: unknown): PhaseReading {
  const isTaken = takesByte(effect, name);
  if (atByte === undefined) {
    return { phase: isTaken && specOf(effect).atByte === 'zero' ? { name, atByte: 0 } : { name } };
  }
  if (!isTaken) return refusal(`${effect}@${name} takes no byte`, 'atByte');
  const result = byteCount.safeParse(atByte);
  if (result.success) return { phase: { name, atByte: result.data } };
  return { problems: result.error.issues.map(({ message }) => ({ path: ['atByte'], message })) };
}

function takesByte(effect: Effect, phase: PhaseName): boolean {
  return specOf(effect).atByte !== 'never' && (phase === 'body' || phase === 'response');
}

function unknownParameter(effect: Effect, phase: PhaseName): string {
  const names = [
    ...(takesByte(effect, phase) ? ['atByte'] : []),
    ...Object.keys(specOf(effect).params.shape),
  ];
  return `${effect}@${phase} takes ${names.length === 0 ? 'no parameters' : `only ${names.join(', ')}`}`;
}

/** Reads the text as the object that it stands for; the problems then name the text. */
function readText(text: string): FaultReading {
  const { effect: name, phase: written, list } = TEXT.exec(text)?.groups ?? {};
  if (name === undefined) return refusal(`${shown(text)} is not a fault; expected effect@phase:argument`);
  const meaning = meaningOf(name);
  if (meaning === null) return refusal(unknownEffect(name));
  const { effect } = meaning;
  const phase = specOf(effect).phases.find((one) => written === undefined || one === written.trim());
  if (phase === undefined) return refusal(impossible(effect, written?.trim()));
  return readArguments(list?.split(COMMA) ?? [], { effect, phase }, { effect: name, phase });
}

function readArguments(
  list: readonly string[],
  place: StorageKey,
  fields: Record<string, unknown>,
): FaultReading {
  for (const argument of list) {
    const problem = addArgument(argument.trim(), place, fields);
    if (problem !== null) return refusal(problem);
  }
  const reading = readObject(fields);
  if ('fault' in reading) return reading;
  const sentences = reading.problems.map(({ path, message }) => {
    const isByteOnly = list.length === 1 && !path.some((step) => Object.hasOwn(fields, step));
    return `${path.join('.')}: ${message}${isByteOnly ? `; ${shown(list[0])} was read as the byte` : ''}`;
  });
  return { problems: sentences.map((message) => ({ path: [], message })) };
}

interface StorageKey {
  readonly effect: Effect;
  readonly phase: PhaseName;
}

/** Adds the argument to the fields, or returns why it cannot be added. */
function addArgument(argument: string, place: StorageKey, fields: Record<string, unknown>): string | null {
  const { effect, phase } = place;
  const { name, value } = namedArgument(argument, effect) ?? {
    name: freePlace(argument, place, fields),
    value: argument,
  };
  if (name === null) return `${effect}@${phase} takes no argument ${shown(argument)}`;
  if (name !== 'atByte' && !Object.hasOwn(specOf(effect).params.shape, name)) {
    return `${name}: ${unknownParameter(effect, phase)}`;
  }
  if (Object.hasOwn(fields, name)) return `${name}: given twice`;
  fields[name] = value;
  return null;
}

function namedArgument(argument: string, effect: Effect): { name: string; value: unknown } | null {
  const [, name, value] = /^([A-Za-z]+)\s*=\s*(.*)$/s.exec(argument) ?? [];
  if (name !== undefined) return { name, value };
  const { shape } = specOf(effect).params;
  const isFlag = Object.hasOwn(shape, argument) && shape[argument]?.safeParse(true).success === true;
  return isFlag ? { name: argument, value: true } : null;
}

/** The field of a value without a name: the first free field that accepts it, or else the last free one, which refuses it. */
function freePlace(argument: string, { effect, phase }: StorageKey, fields: Fields): string | null {
  const { main, params } = specOf(effect);
  const free = [takesByte(effect, phase) ? 'atByte' : null, main]
    .filter((name) => name !== null)
    .filter((name) => !Object.hasOwn(fields, name));
  const holder = free.find(
    (name) => (name === 'atByte' ? byteCount : params.shape[name])?.safeParse(argument).success === true,
  );
  return holder ?? free.at(-1) ?? null;
}
