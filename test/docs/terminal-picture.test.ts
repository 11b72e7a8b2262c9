// docs/terminal-picture.test.ts: docs/demo.svg is what the generator draws of the session in it. That `npm run demo` still prints
// this session is tested in deep/demo-picture.test.ts, which also records it.
import { expect, it } from 'vitest';
import { readPage } from './rules.ts';
import { linesOf, pictureOf, titleOf } from './terminal-picture.ts';

it('docs/demo.svg is drawn by the generator from the session that it shows', () => {
  const picture = readPage('docs/demo.svg');
  const lines = linesOf(picture);
  expect(lines.length).toBeGreaterThan(20);
  expect(lines.at(-1)).toMatch(/^Nothing was lost\./);
  expect(pictureOf(titleOf(picture), lines)).toBe(picture);
});

it('a picture keeps every character of its session', () => {
  const lines = ['$ cat <a> & "b"', '', '    four spaces, … and &lt;'];
  expect(linesOf(pictureOf('a < b', lines))).toEqual(lines);
  expect(titleOf(pictureOf('a < b', lines))).toBe('a < b');
});
