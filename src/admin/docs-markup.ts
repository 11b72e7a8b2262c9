// admin/docs-markup.ts: HTML from values: an escaping template tag and the little Markdown of the contract's prose.
//
// Promises: nothing reaches the page unescaped but what `html` itself made; the style needs no other file, font or
// script, and follows the reader's light or dark setting.
// Must not know: OpenAPI, operations.

/** Text that is markup already. Only `html` makes one. */
class Html {
  readonly markup: string;

  constructor(markup: string) {
    this.markup = markup;
  }
}
export type { Html };

export type Content = Html | string | number | undefined | readonly Content[];

/** Values are escaped, pieces of `html` are not, lists are joined, undefined is nothing. */
export function html(pieces: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(pieces.map((piece, index) => piece + toMarkup(values[index])).join(''));
}

function toMarkup(value: Content): string {
  if (value === undefined) return '';
  if (value instanceof Html) return value.markup;
  if (typeof value === 'object') return value.map(toMarkup).join('');
  return String(value).replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** One line of prose: `code`, **strong** and *stress* are marked up. */
export function inline(text: string): Html {
  const tokens = text.split(/(`[^`]+`|\*\*[^*]+\*\*|\*[^*\s]+\*)/);
  return html`${tokens.map((token, index) => (index % 2 === 0 ? token : emphasis(token)))}`;
}

function emphasis(token: string): Html {
  if (token.startsWith('`')) return html`<code>${token.slice(1, -1)}</code>`;
  if (token.startsWith('**')) return html`<strong>${token.slice(2, -2)}</strong>`;
  return html`<em>${token.slice(1, -1)}</em>`;
}

/** Prose in blocks that are parted by empty lines: paragraphs, numbered lists and tables. */
export function prose(text: string): Html {
  const blocks = text.trim().split(/\n{2,}/);
  return html`${blocks.map((block) => {
    if (block.startsWith('|')) return tableOf(block);
    if (!/^\d+\. /.test(block)) return html`<p>${inline(block)}</p>`;
    const items = block.split(/^\d+\. /m).slice(1);
    return html`<ol>
      ${items.map((item) => html`<li>${inline(item)}</li>`)}
    </ol>`;
  })}`;
}

/** Cells between bars; the second line parts the heads from the rest. */
function tableOf(block: string): Html {
  const [heads = [], , ...rows] = block.split('\n').map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  return table({ heads, rows: rows.map((cells) => cells.map(inline)) });
}

export interface Table {
  readonly heads: readonly string[];
  readonly rows: readonly (readonly Content[])[];
}

/** Nothing when there are no rows. */
export function table({ heads, rows }: Table): Html {
  if (rows.length === 0) return html``;
  return html`<div class="scroll">
    <table>
      <thead>
        <tr>
          ${heads.map((head) => html`<th scope="col">${head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (cells) =>
            html`<tr>
              ${cells.map((cell) => html`<td>${cell}</td>`)}
            </tr> `,
        )}
      </tbody>
    </table>
  </div>`;
}

export interface Page {
  readonly title: string;
  readonly navigation: Content;
  readonly main: Content;
}

export function page({ title, navigation, main }: Page): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <style>
          ${new Html(STYLE)}
        </style>
      </head>
      <body>
        <a class="skip" href="#top">Skip to the content</a>
        <nav aria-label="Contents">${navigation}</nav>
        <main id="top">${main}</main>
      </body>
    </html> `.markup;
}

const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #ffffff; --side: #f6f7f9; --ink: #1c2330; --soft: #5b6575; --line: #e1e5eb; --code: #f1f3f6;
  --link: #0b5cad; --get: #0a6c4d; --post: #1d4fb8; --bad: #a3271c; --mark: #7a4b00; --mark-paper: #fff3d6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181f; --side: #1a1f28; --ink: #e3e8ef; --soft: #9aa6b6; --line: #2c3440; --code: #1f2630;
    --link: #7db8f5; --get: #4fc79a; --post: #86aef7; --bad: #f0897e; --mark: #f3c66b; --mark-paper: #3a2f15;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1.5rem; }
body { margin: 0; display: grid; grid-template-columns: 17rem minmax(0, 1fr); background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1.75rem 1.25rem; background: var(--side);
  border-right: 1px solid var(--line); font-size: .9rem; }
nav strong { display: block; margin: 1.4rem 0 .35rem; color: var(--soft); font-size: .75rem; letter-spacing: .06em;
  text-transform: uppercase; }
nav strong:first-child { margin-top: 0; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav li a { display: flex; gap: .5rem; align-items: center; padding: .25rem .4rem; border-radius: 5px; color: var(--ink); }
nav li a:hover { background: var(--line); text-decoration: none; }
main { max-width: 62rem; padding: 2.5rem 3rem 6rem; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; z-index: 1; padding: .5rem 1rem; background: var(--paper); }
h1 { margin: 0; font-size: 2rem; line-height: 1.2; letter-spacing: -.015em; }
h2 { margin: 3.5rem 0 .5rem; padding-bottom: .4rem; border-bottom: 1px solid var(--line); font-size: 1.5rem; }
h3 { margin: 3rem 0 .25rem; font-size: 1.2rem; }
h4 { margin: 1.75rem 0 .5rem; color: var(--soft); font-size: .8rem; letter-spacing: .06em; text-transform: uppercase; }
p { margin: .6rem 0; }
.lead { color: var(--soft); font-size: 1.1rem; }
code, pre { font: .875em/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
code { padding: .1em .25em; border-radius: 4px; background: var(--code); overflow-wrap: anywhere; }
pre { margin: .4rem 0 1rem; padding: .8rem 1rem; overflow-x: auto; border: 1px solid var(--line); border-radius: 8px;
  background: var(--code); font-size: .82rem; }
pre code { padding: 0; background: none; font-size: 1em; overflow-wrap: normal; }
figure { margin: .75rem 0; }
figcaption { color: var(--soft); font-size: .85rem; }
.route { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; margin: .6rem 0 1rem; padding: .6rem .9rem;
  border: 1px solid var(--line); border-radius: 8px; background: var(--side); }
.route code { padding: 0; background: none; font-size: .95rem; }
.verb { min-width: 2.9rem; font: 700 .72rem/1.6 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; color: var(--get); }
.verb.post { color: var(--post); }
.key { margin-left: auto; color: var(--soft); font-size: .85rem; }
.scroll { overflow-x: auto; }
table { width: 100%; margin: .4rem 0 1rem; border-collapse: collapse; font-size: .9rem; }
th, td { padding: .45rem .75rem .45rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { color: var(--soft); font-size: .78rem; font-weight: 600; }
td:first-child { width: 14rem; min-width: 11rem; }
td:nth-child(3) { width: 46%; }
details.box { margin: .5rem 0; border: 1px solid var(--line); border-radius: 8px; }
details.box > summary { padding: .55rem .9rem; cursor: pointer; }
details.box[open] > summary { border-bottom: 1px solid var(--line); }
details.box > div { padding: .4rem .9rem .6rem; }
.status { font-weight: 700; color: var(--get); }
.status.bad { color: var(--bad); }
.note { display: block; margin: .15rem 0; padding-left: .6rem; border-left: 3px solid var(--mark); color: var(--soft);
  font-size: .85rem; white-space: normal; }
.tag { display: inline-block; padding: 0 .45rem; border-radius: 99px; background: var(--code);
  color: var(--soft); font-size: .72rem; font-weight: 600; line-height: 1.7; vertical-align: .08em; white-space: nowrap; }
.tag.assumed { background: var(--mark-paper); color: var(--mark); cursor: help; }
ul.rules { margin: .4rem 0; padding: 0; list-style: none; }
ul.rules li { display: grid; grid-template-columns: 3rem minmax(0, 1fr); padding: .45rem 0; border-bottom: 1px solid var(--line);
  font-size: .92rem; }
ul.rules li > b { color: var(--soft); font-weight: 600; }
@media (max-width: 60rem) {
  body { display: block; }
  nav { position: static; height: auto; border-right: 0; border-bottom: 1px solid var(--line); }
  main { padding: 1.5rem 1.25rem 4rem; }
}
@media print { nav { display: none; } body { display: block; } }
`;
