// docs/rooms.ts: the rooms of src, which of them each one imports, and docs/architecture.md with that table in its place.
import { dirname, join } from 'node:path/posix';
import { filesBelow, readPage } from './rules.ts';

const IMPORT = /(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g;
const TABLE = /(?<=<!-- rooms table: [^\n]* -->\n).*(?=<!-- end of rooms table -->)/s;
/** The files that lie in no room. */
const ROOF = '`app.ts`, `index.ts`, `main.ts`';

/** Each room, and the rooms that its files import. */
export function importsOfRooms(): Map<string, ReadonlySet<string>> {
  const rooms = new Map<string, Set<string>>();
  for (const file of filesBelow('src/', /\.c?ts$/)) {
    const imported = [...readPage(file).matchAll(IMPORT)].map(([, path = '']) => join(dirname(file), path));
    const room = roomOf(file);
    const others = imported.filter((path) => path.startsWith('src/')).map(roomOf);
    rooms.set(room, new Set([...(rooms.get(room) ?? []), ...others.filter((other) => other !== room)]));
  }
  return rooms;
}

/** `core`, and `http/forms` where a room has rooms of its own. */
function roomOf(file: string): string {
  const room = dirname(file).replace(/^src\/?/, '');
  return room === '' ? ROOF : `\`${room}\``;
}

/** Those that import the fewest rooms come first. */
export function architecturePage(): string {
  const rows = [...importsOfRooms()]
    .toSorted(([one, ofOne], [other, ofOther]) => ofOne.size - ofOther.size || one.localeCompare(other))
    .map(([room, others]) => `| ${room} | ${[...others].toSorted().join(', ')} |\n`);
  return readPage('docs/architecture.md').replace(
    TABLE,
    `| room | imports |\n| --- | --- |\n${rows.join('')}`,
  );
}
