// docs/architecture.test.ts: docs/architecture.md has every room of src, the imports that there are, and files that exist.
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { architecturePage, importsOfRooms } from './rooms.ts';
import { readPage } from './rules.ts';

const SOURCE = new URL('../../src/', import.meta.url);

describe('docs/architecture.md', () => {
  it('says what each room imports (npm run docs)', async () => {
    await expect(architecturePage()).toMatchFileSnapshot('../../docs/architecture.md');
  });

  it('says what each room holds', () => {
    const described = [...readPage('docs/architecture.md').matchAll(/^\| `(\w+)` \| [A-Z`]/gm)].map(
      ([, room]) => room,
    );
    const rooms = [...importsOfRooms().keys()].filter((room) => /^`\w+`$/.test(room));
    expect(rooms.length).toBeGreaterThan(10);
    expect(rooms.map((room) => room.slice(1, -1)).filter((room) => !described.includes(room))).toEqual([]);
    expect(described.filter((room) => !existsSync(new URL(`${room}/`, SOURCE)))).toEqual([]);
  });

  it('names files that exist', () => {
    const named = [...readPage('docs/architecture.md').matchAll(/`(?:src\/)?([a-z-]+\/[\w/-]+\.ts)`/g)].map(
      ([, path = '']) => path,
    );
    expect(named.length).toBeGreaterThan(10);
    expect(
      named.filter(
        (path) => !existsSync(new URL(path, SOURCE)) && !existsSync(new URL(`../${path}`, SOURCE)),
      ),
    ).toEqual([]);
  });
});
