// bench/scenarios.ts: the scenarios of `npm run bench`: each part order, chunk size and number of connections, status queries,
// both without the journal, and references for comparison.
import type { WireName } from './wires.ts';

/** `no-journal` is also the product. The last three are references for comparison, each a file of peers/. */
export type ServerKind = 'product' | 'no-journal' | 'pipe' | 'discard' | 'constant';

export interface Scenario {
  readonly name: string;
  readonly server: ServerKind;
  readonly wire: WireName;
  /** Null: status queries. */
  readonly chunkBytes: number | null;
  readonly connections: number;
}

const KIB = 1024;
const MIB = KIB * KIB;
export const SIZES = {
  '4k': 4 * KIB,
  '64k': 64 * KIB,
  '1m': MIB,
  '8m': 8 * MIB,
  '32m': 32 * MIB,
  '64m': 64 * MIB,
} as const;
export type Size = keyof typeof SIZES;

const ALL: readonly Size[] = ['4k', '64k', '1m', '8m', '32m', '64m'];
/** The sizes that suffice for a comparison. */
const SOME: readonly Size[] = ['4k', '64k', '1m', '8m'];
const CONNECTIONS = [1, 16] as const;

interface Series {
  readonly label: string;
  readonly server: ServerKind;
  readonly wire: WireName;
  readonly sizes: readonly Size[];
}

function chunkScenarios({ label, server, wire, sizes }: Series): Scenario[] {
  return sizes.flatMap((size) =>
    CONNECTIONS.map((connections) => ({
      name: `${label}-${size}-c${connections}`,
      server,
      wire,
      chunkBytes: SIZES[size],
      connections,
    })),
  );
}

function statusScenarios(label: string, server: ServerKind): Scenario[] {
  return CONNECTIONS.map((connections) => ({
    name: `${label}-c${connections}`,
    server,
    wire: 'status',
    chunkBytes: null,
    connections,
  }));
}

const SCENARIOS: readonly Scenario[] = [
  ...chunkScenarios({ label: 'fields-first', server: 'product', wire: 'form-fields-first', sizes: ALL }),
  ...chunkScenarios({ label: 'file-first', server: 'product', wire: 'form-file-first', sizes: ALL }),
  ...statusScenarios('status', 'product'),
  ...chunkScenarios({ label: 'no-journal', server: 'no-journal', wire: 'form-fields-first', sizes: SOME }),
  ...statusScenarios('no-journal-status', 'no-journal'),
  ...chunkScenarios({ label: 'pipe', server: 'pipe', wire: 'raw-append', sizes: SOME }),
  ...chunkScenarios({ label: 'discard', server: 'discard', wire: 'raw-append', sizes: SOME }),
  ...statusScenarios('constant', 'constant'),
];

/** One scenario of each kind, enough for CI to see that the bench works and that no chunk is refused under load. */
export const SMOKE_NAMES: readonly string[] = [
  'fields-first-64k-c16',
  'fields-first-8m-c1',
  'file-first-1m-c16',
  'status-c16',
];

/**
 * The scenarios whose name is one of these names or begins with one of them: `fields-first-8m` means two. No names mean all
 * scenarios.
 * @throws Error naming an unknown name
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
