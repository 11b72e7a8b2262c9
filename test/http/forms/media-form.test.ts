// A sample of the forms (deep/multipart-fuzz.test.ts has many more), and what a media form has beside the grammar of its parts.
import { expect, it } from 'vitest';
import { mediaFormExamples, mediaFormsAsChunkForms, openReader } from './media-form-suite.ts';
import { exampleOf, LIMITS, WHOLE } from './multipart-fuzz-suite.ts';

mediaFormsAsChunkForms(500);
mediaFormExamples();

const partOf = (disposition: string, bytes: string): string =>
  `--b\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n${bytes}\r\n`;

it('a form is refused when it is cut at any byte before the end of its closing delimiter, however it comes (C11)', async () => {
  const readMedia = await openReader();
  const body = `${partOf('name="platforms"', '["youtube"]')}${partOf('name="file"; filename="a.mp4"', 'bytes')}--b--`;
  for (let end = 0; end < body.length; end += 1) {
    const cut = exampleOf(body.slice(0, end), LIMITS);
    expect(await readMedia(cut, WHOLE), body.slice(0, end)).toBe('refused');
    expect(await readMedia(cut, [Math.max(end - 3, 0)]), body.slice(0, end)).toBe('refused');
  }
  expect(await readMedia(exampleOf(body, LIMITS), WHOLE)).toHaveLength(2);
});

it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])(
  'a part called %s is a part like any other, though the library refuses its name (C10)',
  async (name) => {
    const readMedia = await openReader();
    const body = `${partOf(`name="${name}"`, '1')}${partOf(`name="${name}"; filename="x"`, '2')}${partOf('name="a"', '3')}--b--`;
    expect(await readMedia(exampleOf(body, LIMITS), WHOLE)).toEqual([
      { name, filename: undefined, bytes: '1' },
      { name, filename: 'x', bytes: '2' },
      { name: 'a', filename: undefined, bytes: '3' },
    ]);
  },
);

it('of a filename and a filename* the latter counts, in any order, though the library takes the first of quoted ones (C10)', async () => {
  const readMedia = await openReader();
  for (const both of [
    `filename="wrong.txt"; filename*=utf-8''right.mp4`,
    `filename*=utf-8''right.mp4; filename="wrong.txt"`,
  ]) {
    const body = `${partOf(`name="file"; ${both}`, '1')}--b--`;
    expect(await readMedia(exampleOf(body, LIMITS), WHOLE), both).toMatchObject([{ filename: 'right.mp4' }]);
  }
});

it('headers over the limit are refused wherever they are cut, and also when they never end (C11)', async () => {
  const readMedia = await openReader();
  const head = (bytes: number): string => partOf(`name="${'x'.repeat(bytes - 41)}"`, '1');
  const limits = { maxParts: 3, maxPartHeaderBytes: 1_000 };
  const given = (body: string): Promise<unknown> => readMedia(exampleOf(body, limits), [50, 600]);
  expect(await given(`${head(1_000)}--b--`)).toHaveLength(1);
  expect(await given(`${head(1_001)}--b--`)).toBe('refused');
  expect(await given(`--b\r\nContent-Disposition: form-data; name="a"\r\nX: ${'y'.repeat(1_000_000)}`)).toBe(
    'refused',
  );
});
