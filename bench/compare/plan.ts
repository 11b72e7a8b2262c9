// bench/compare/plan.ts: which cells have to be measured for the goals asked for, and in which order.
//
// Promises: pure. Cells of one load stand together, so that what is compared is measured within seconds of each other;
// in each run another of them is first, so that none is always the one after the pause.
import type { CellName } from './cells.ts';
import type { Goal, SpecialName } from './goals.ts';

/** `8m-c16` of `ours-8m-c16`: what is compared has it in common. */
function loadOf(cell: CellName): string {
  return cell.split('-').slice(-2).join('-');
}

/** @param run the first is 1 */
export function cellsInOrder(goals: readonly Goal[], run: number): CellName[] {
  const groups = new Map<string, CellName[]>();
  for (const cell of new Set(goals.flatMap(({ cells }) => cells))) {
    const load = loadOf(cell);
    groups.set(load, [...(groups.get(load) ?? []), cell]);
  }
  return [...groups.values()].flatMap((cells) => {
    const first = (run - 1) % cells.length;
    return [...cells.slice(first), ...cells.slice(0, first)];
  });
}

export function specialsOf(goals: readonly Goal[]): ReadonlySet<SpecialName> {
  return new Set(goals.flatMap(({ specials }) => specials));
}
