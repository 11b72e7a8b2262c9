// docs/links.test.ts: no document links to a file or a heading that is not there.
import { existsSync, statSync } from 'node:fs';
import { expect, it } from 'vitest';
import { filesBelow, readPage } from './rules.ts';

const ROOT = new URL('../../', import.meta.url);
const PAGES = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'bench/README.md',
  ...['docs/', 'examples/'].flatMap((folder) => filesBelow(folder, /\.md$/)),
];

it.each(PAGES)('%s links to files and headings that exist', (page) => {
  const links = [...readPage(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)/g)];
  const broken = links.filter(([, path = '', heading]) => {
    const target = path === '' ? new URL(page, ROOT) : new URL(path, new URL(page, ROOT));
    if (!existsSync(target)) return true;
    return heading !== undefined && statSync(target).isFile() && !headingsOf(target).includes(heading);
  });
  expect(broken.map(([link]) => link)).toEqual([]);
});

it('documents have links', () => {
  expect(PAGES.flatMap((page) => [...readPage(page).matchAll(/\]\(/g)]).length).toBeGreaterThan(50);
});

/** As the pages of a repository name them. */
function headingsOf(page: URL): string[] {
  const text = readPage(page.pathname);
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
