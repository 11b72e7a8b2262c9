// table.ts: tables of the documents that tests of this folder have seen to be true, or write.
//
// A table stands between `<!-- NAME table: made by FILE -->` and `<!-- end of NAME table -->`.
import { readFileSync, writeFileSync } from 'node:fs';

/** `UPDATE_PROXIES=1 npm run test:proxies` writes the tables anew. */
export const isUpdate = process.env['UPDATE_PROXIES'] === '1';

export interface StorageKey {
  readonly page: URL;
  readonly name: string;
  readonly columns: readonly string[];
}

/** The cells of the rows, by their first. */
export type Table = ReadonlyMap<string, readonly string[]>;

const ROOT = new URL('../../', import.meta.url);
export const DETAILS = new URL('docs/proxies.md', ROOT);

/** Empty while it is written anew. */
export function readTable(place: StorageKey): Table {
  if (isUpdate) return new Map();
  const { table } = partsOf(place);
  const [head, , ...lines] = table.trim().split('\n').map(cellsOf);
  if (head?.join('|') !== place.columns.join('|')) throw new Error(`the columns of ${place.name} are others`);
  return new Map(lines.map(([name = '', ...rest]) => [name, rest]));
}

function cellsOf(line: string): string[] {
  return line
    .slice(1, -1)
    .split('|')
    .map((cell) => cell.trim());
}

export function writeTable(place: StorageKey, table: Table): void {
  const { before, after } = partsOf(place);
  const rows = [
    place.columns,
    place.columns.map(() => '---'),
    ...[...table].map(([name, rest]) => [name, ...rest]),
  ];
  const text = rows.map((cells) => `| ${cells.join(' | ')} |\n`).join('');
  writeFileSync(place.page, `${before}${text}${after}`);
}

function partsOf({ page, name }: StorageKey): { before: string; table: string; after: string } {
  const text = readFileSync(page, 'utf8');
  const parts = new RegExp(
    `^(.*<!-- ${name} table: .*? -->\\n)(.*?)(<!-- end of ${name} table -->.*)$`,
    's',
  ).exec(text);
  const [, before, table, after] = parts ?? [];
  if (before === undefined || table === undefined || after === undefined)
    throw new Error(`${page.pathname} has no ${name} table`);
  return { before, table, after };
}
