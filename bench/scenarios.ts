// bench/scenarios.ts: what is measured: each part order, chunk size and number of connections, status queries, and two
// references to compare with.
import type { PartOrder } from './chunk-sender.ts';
import type { ServerKind } from './server.ts';

export interface Scenario {
  readonly name: string;
  readonly server: ServerKind;
  /** Null: status queries. */
  readonly chunks: { readonly order: PartOrder; readonly bytes: number } | null;
  readonly connections: number;
}

const KIB = 1024;
const SIZES = [
  ['64k', 64 * KIB],
  ['1m', KIB * KIB],
  ['8m', 8 * KIB * KIB],
] as const;
const CONNECTIONS = [1, 16] as const;

function chunkScenarios(label: string, server: ServerKind, order: PartOrder): Scenario[] {
  return SIZES.flatMap(([size, bytes]) =>
    CONNECTIONS.map((connections) => ({
      name: `${label}-${size}-c${connections}`,
      server,
      chunks: { order, bytes },
      connections,
    })),
  );
}

const statusScenarios: Scenario[] = CONNECTIONS.map((connections) => ({
  name: `status-c${connections}`,
  server: 'product',
  chunks: null,
  connections,
}));

const SCENARIOS: readonly Scenario[] = [
  ...chunkScenarios('fields-first', 'product', 'fields-first'),
  ...chunkScenarios('file-first', 'product', 'file-first'),
  ...statusScenarios,
  ...chunkScenarios('pipe', 'pipe', 'fields-first'),
  ...chunkScenarios('discard', 'discard', 'fields-first'),
];

/** One of each kind: enough to see in CI that the bench works and no chunk is refused under load. */
export const SMOKE_NAMES: readonly string[] = [
  'fields-first-64k-c16',
  'fields-first-8m-c1',
  'file-first-1m-c16',
  'status-c16',
];

/**
 * The scenarios with one of these names, or whose name goes on after it: `fields-first-8m` is two; all when none is asked for.
 * @throws Error naming an unknown one
 */
export function scenariosNamed(asked: readonly string[]): Scenario[] {
  if (asked.length === 0) return [...SCENARIOS];
  const unknown = asked.find((name) => !SCENARIOS.some((scenario) => isNamed(scenario, name)));
  if (unknown !== undefined) {
    const names = SCENARIOS.map(({ name }) => name).join(', ');
    throw new Error(`no scenario begins with ${JSON.stringify(unknown)}; there are: ${names}`);
  }
  return SCENARIOS.filter((scenario) => asked.some((name) => isNamed(scenario, name)));
}

function isNamed(scenario: Scenario, name: string): boolean {
  return scenario.name === name || scenario.name.startsWith(`${name}-`);
}
