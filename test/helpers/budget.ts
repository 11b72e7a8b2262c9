// helpers/budget.ts: how much a deep test does when it is run by itself: what the environment says, or what fits into `.ci/run`.

/** @throws Error when the variable is set to anything but a whole number from 1 */
export function budgetOf(variable: string, otherwise: number): number {
  const said = process.env[variable];
  const budget = Number(said ?? otherwise);
  if (!Number.isInteger(budget) || budget < 1)
    throw new Error(`${variable} is a whole number from 1, and not ${JSON.stringify(said)}`);
  return budget;
}
