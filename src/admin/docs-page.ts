// admin/docs-page.ts: a contract as a page for people. Swagger UI shows the contract and sends the calls that a reader tries.
//
// Promises: the page, its script and its style come from here alone, so that it works offline and under a policy that lets
// nothing else run. What a reader types to be let in is kept in the page's memory and sent to this server only.
import { writtenDocument, type DocumentName } from '../contract/document.ts';
import { shownDocument } from './docs-document.ts';

export interface DocsPage {
  readonly name: DocumentName;
  readonly title: string;
  /** What is served beside it. */
  readonly links: readonly { readonly href: string; readonly text: string }[];
  /** Where the contract's paths are, when that is another port than the page's: its origin. */
  readonly origin: string | null;
}

export function renderDocs({ name, title, links, origin }: DocsPage): string {
  const shown = JSON.stringify(shownDocument(writtenDocument(name), origin ?? ''));
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>${escaped(title)}</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="docs/page.css">
    <script type="application/json" id="contract">${dataBlock(shown)}</script>
    <script src="docs/page.js" defer></script>
  </head>
  <body>
    <nav aria-label="Documents">${links.map(({ href, text }) => `<a href="${escaped(href)}">${escaped(text)}</a>`).join('')}</nav>
    <main id="docs"><noscript>This page needs JavaScript; the contract itself does not: <a href="${name}">${name}</a>.</noscript></main>
  </body>
</html>
`;
}

/** Nothing in it can end the element that it stands in. */
function dataBlock(json: string): string {
  return json.replaceAll('<', String.raw`\u003c`);
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** @param origin of the contract's paths, or null when it is the page's own */
export function pageHeaders(origin: string | null): Readonly<Record<string, string>> {
  const policy = {
    'default-src': "'none'",
    'script-src': "'self'",
    'style-src': "'self'",
    // Its icons are pictures within its style.
    'img-src': "'self' data: blob:",
    'connect-src': origin === null ? "'self'" : `'self' ${origin}`,
    'frame-ancestors': "'none'",
    'base-uri': "'none'",
    'form-action': "'none'",
  };
  return {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': Object.entries(policy)
      .map((directive) => directive.join(' '))
      .join('; '),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  };
}
