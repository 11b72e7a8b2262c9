// bench/compare/plan.ts: chooses the cells for the given goals, and their order.
//
// Promises: pure. Cells of one load stand together, so that compared cells are measured within seconds of each other. Each run
// begins with another cell, so that no cell always comes after the pause.
import type { CellName } from './cells.ts';
import type { Goal, SpecialName } from './goals.ts';

/** The load `8m-c16` of `ours-8m-c16`, which compared cells have in common. */
function loadOf(cell: CellName): string {
  return cell.split('-').slice(-2).join('-');
}

/** @param run the number of the run, from 1 */
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
