// bench/flags.ts: reads the values of flags for the commands of this folder.
//
// Promises: a value that is not understood causes an Error that names the flag, the given value and the expected value.

export function positive(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`${flag}: got ${JSON.stringify(text)}, expected a number above 0`);
}

export function oneOf<T extends string>(flag: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((each) => each === text);
  if (choice !== undefined) return choice;
  throw new Error(`${flag}: got ${JSON.stringify(text)}, expected ${choices.join(' or ')}`);
}
