// helpers/budget.ts: how much work a deep test does. The environment may say how much; otherwise it is an amount that fits into
// `.ci/run`.

/** @throws Error when the variable is set to anything but a whole number from 1 */
export function budgetOf(variable: string, otherwise: number): number {
  const said = process.env[variable];
  const budget = Number(said ?? otherwise);
  if (!Number.isInteger(budget) || budget < 1)
    throw new Error(`${variable} is a whole number from 1, and not ${JSON.stringify(said)}`);
  return budget;
}
