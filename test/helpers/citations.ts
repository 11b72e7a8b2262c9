// helpers/citations.ts: tables of documents whose rows name the tests that prove them:
//   `file` “title”, “title”<br>`file` “title”
//
// Promises: each cited test exists, with exactly that title. Whether the test proves what the row says is for the reader to check.
import { existsSync } from 'node:fs';
import { expect } from 'vitest';
import { testTitlesIn } from './test-titles.ts';

const ROOT = new URL('../../', import.meta.url);
const titles = new Map<string, readonly string[]>();

export interface Citation {
  readonly file: string;
  readonly title: string;
}

/** The cells of every row of those Markdown tables whose first column has this heading. */
export function rowsOf(markdown: string, heading: string): string[][] {
  const tables = markdown.split(/\n(?!\|)/).filter((block) => block.includes('\n|') || block.startsWith('|'));
  return tables
    .map((table) =>
      table
        .split('\n')
        .filter((line) => line.startsWith('|'))
        .map(cellsOf),
    )
    .filter(([head]) => head?.[0] === heading)
    .flatMap((rows) => rows.slice(2));
}

function cellsOf(line: string): string[] {
  return line
    .slice(1, -1)
    .split('|')
    .map((cell) => cell.trim());
}

function citationsIn(proof: string): Citation[] {
  return proof.split('<br>').flatMap((item) => {
    const file = /^`(test\/[\w./-]+\.ts)` /.exec(item)?.[1] ?? '';
    return [...item.matchAll(/“([^”]+)”/g)].map(([, title = '']) => ({ file, title }));
  });
}

/** The cell must contain only citations, or `—`. Otherwise a title in another notation would not be checked. */
export function expectCitations(proof: string): void {
  expect(proof.replaceAll(/`test\/[^`]+` |“[^”]+”|, |<br>|^—$/g, '')).toBe('');
  for (const { file, title } of citationsIn(proof)) {
    const url = new URL(file, ROOT);
    expect(existsSync(url), `${file} of “${title}”`).toBe(true);
    const known = titles.get(file) ?? testTitlesIn(url);
    titles.set(file, known);
    expect(known, file).toContain(title);
  }
}
