// bench/measure.ts: measures one scenario of `npm run bench` once: a load of compare/cells.ts on the server of the scenario.
//
// Must not know: how a load is made, how figures are shown.
import { measureLoad, type CellLimits } from './compare/cells.ts';
import { CONTESTANTS, ours, peer, type Contestant } from './compare/contestants.ts';
import type { Figures } from './figures.ts';
import type { Scenario } from './scenarios.ts';
import type { Client } from './sender/client.ts';
import type { Durability } from './server.ts';

export function measure(
  scenario: Scenario,
  client: Client,
  { durability, ...limits }: CellLimits & { readonly durability: Durability },
): Promise<Figures> {
  const { chunkBytes, connections } = scenario;
  return measureLoad(
    { contestant: contestantOf(scenario, durability), chunkBytes, connections },
    client,
    limits,
  );
}

function contestantOf({ server, wire }: Scenario, durability: Durability): Contestant {
  if (server === 'product' || server === 'no-journal')
    return ours({ durability, hasJournal: server === 'product' }, wire);
  // This server keeps nothing that could be checked.
  return server === 'discard' ? { ...peer('discard', wire, () => []), stored: null } : CONTESTANTS[server];
}
