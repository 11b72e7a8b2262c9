// docs/terminal-picture.ts: a session of a terminal as an SVG that is legible on light and on dark pages.
//
// Promises: `linesOf(pictureOf(lines))` is `lines`: the picture holds its text, so that a reader can copy it and a test can
// draw it again.
const FONT_SIZE = 14;
const CELL = 8.4;
const LINE = 20;
const MARGIN = 20;

/** The first pattern that a line fits says how it looks. */
const LOOKS: readonly (readonly [RegExp, string])[] = [
  [/^\$ /, 'command'],
  [/Killed|connection break/, 'broken'],
  [/Nothing was lost|^ {4}(sent|stored) /, 'whole'],
  [/^ +\d+ of \d+ MiB/, 'quiet'],
];

const STYLE = `
  .page { fill: #f6f8fa; stroke: #d0d7de }
  text { fill: #1f2328; font: ${FONT_SIZE}px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; white-space: pre }
  .command { fill: #0550ae; font-weight: bold }
  .broken { fill: #a40e26 }
  .whole { fill: #116329 }
  .quiet { fill: #57606a }
  @media (prefers-color-scheme: dark) {
    .page { fill: #161b22; stroke: #30363d }
    text { fill: #e6edf3 }
    .command { fill: #79c0ff }
    .broken { fill: #ff7b72 }
    .whole { fill: #7ee787 }
    .quiet { fill: #8b949e }
  }
`;

export function pictureOf(title: string, lines: readonly string[]): string {
  const columns = Math.max(...lines.map((line) => line.length));
  const width = Math.ceil(columns * CELL + 2 * MARGIN);
  const height = lines.length * LINE + 2 * MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="page" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>`,
    ...lines.map((line, at) => drawn(line, MARGIN + at * LINE + FONT_SIZE)),
    '</svg>',
    '',
  ].join('\n');
}

/** `textLength` keeps the columns in their places whatever font the reader has. */
function drawn(line: string, y: number): string {
  const look = LOOKS.find(([pattern]) => pattern.test(line))?.[1];
  const kind = look === undefined ? '' : ` class="${look}"`;
  const length = line === '' ? '' : ` textLength="${(line.length * CELL).toFixed(1)}"`;
  return `<text${kind} x="${MARGIN}" y="${y}"${length} xml:space="preserve">${escaped(line)}</text>`;
}

export function titleOf(picture: string): string {
  return unescaped(/<title>(.*)<\/title>/.exec(picture)?.[1] ?? '');
}

export function linesOf(picture: string): string[] {
  return [...picture.matchAll(/<text[^>]*>(.*)<\/text>/g)].map(([, line = '']) => unescaped(line));
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function unescaped(text: string): string {
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}
