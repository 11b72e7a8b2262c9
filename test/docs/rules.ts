// docs/rules.ts: the rules of docs/behaviour.md, and where a text cites them.
//
// A rule is one item of a list: `- **C6** text`. A citation is the id of a rule (`C6`, `§7.2`), or the number of a whole section
// (`§7`). Sections of other documents are not citations: the name of the document stands before them.
import { readdirSync, readFileSync } from 'node:fs';

const ROOT = new URL('../../', import.meta.url);
const FOREIGN = /(RFC \d+|HTML),?( \()?(,? ?(and )?§[\d.]+(-§?[\d.]+)?)+/g;
const CITATION = /(?<![\w%\\=])[KCFD]\d{1,2}\b|§\d+(\.\d+)?/g;

export interface Section {
  /** `§7 Limits and time-outs` */
  readonly heading: string;
  readonly rules: readonly Rule[];
}

export interface Rule {
  readonly id: string;
  readonly text: string;
}

export const readPage = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

export function sectionsIn(page: string): Section[] {
  return page
    .split(/^## (?=§)/m)
    .slice(1)
    .map((part) => ({ heading: part.slice(0, part.indexOf('\n')), rules: rulesIn(part) }));
}

function rulesIn(part: string): Rule[] {
  return part
    .split(/^- (?=\*\*)/m)
    .slice(1)
    .map((item) => {
      const [, id = '', text = ''] = /^\*\*(\S+)\*\* (.*?)(?:\n\n|$)/s.exec(item.trimEnd()) ?? [];
      return { id, text: text.replaceAll(/\s+/g, ' ') };
    });
}

export function citedIn(text: string): string[] {
  return [...text.replaceAll(FOREIGN, '').matchAll(CITATION)].map(([id]) => id);
}

/** True for `C6` and `§7.2`, and for `§7` if there is such a section. */
export function isKnown(id: string, sections: readonly Section[]): boolean {
  return sections.some(
    ({ heading, rules }) => heading.startsWith(`${id} `) || rules.some((rule) => rule.id === id),
  );
}

/** The files below a folder of the repository, by their paths in it. */
export function filesBelow(folder: string, ending: RegExp): string[] {
  return readdirSync(new URL(folder, ROOT), { recursive: true, encoding: 'utf8' })
    .map((name) => `${folder}${name}`)
    .filter((path) => ending.test(path) && !path.includes('node_modules'))
    .toSorted();
}
