// project/docker.test.ts: what the Dockerfile promises, read from its text. Its steps are done in deep/docker-steps.test.ts.
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { environmentOf, SETTING_NAMES } from '../../src/config/settings.ts';
import {
  allowedNames,
  environmentOfStage,
  execForm,
  instructionsOf,
  onlyTextOf,
  parseDockerfile,
  type Stage,
} from '../helpers/dockerfile.ts';

const REPOSITORY = new URL('../../', import.meta.url);
const stages = parseDockerfile(await readFile(new URL('Dockerfile', REPOSITORY), 'utf8'));
const allowed = allowedNames(await readFile(new URL('.dockerignore', REPOSITORY), 'utf8'));
const last = stages.at(-1) as Stage;
const environment = environmentOfStage(last);

function healthCommand(): string[] {
  return execForm(onlyTextOf(last, 'HEALTHCHECK').replace(/^CMD\s+/, '')) ?? [];
}

describe('the Dockerfile', () => {
  it('has stages from one slim image of a Node that package.json allows and the workflow tests', async () => {
    const images = new Set(stages.map(({ image }) => image));
    expect(images.size).toBe(1);
    const [, major] = /^node:(\d+)-slim$/.exec([...images][0] ?? '') ?? [];
    const workflow = await readFile(new URL('.github/workflows/ci.yml', REPOSITORY), 'utf8');
    expect(workflow).toMatch(new RegExp(`node: \\[.*\\b${major ?? '-'}\\b.*\\]`));
  });

  it('runs as a user that is not root, given as numbers', () => {
    expect(onlyTextOf(last, 'USER')).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  });

  it('has one volume, and it is the data folder', () => {
    expect(onlyTextOf(last, 'VOLUME')).toBe(environment['XENONFLARE_MOCK_DATA_DIR']);
  });

  it('sets only settings that exist', () => {
    const known = new Set(SETTING_NAMES.map(environmentOf));
    const ours = Object.keys(environment).filter((name) => name.startsWith('XENONFLARE_MOCK_'));
    expect(ours.filter((name) => !known.has(name))).toEqual([]);
  });

  it('listens for everybody on the one exposed port; the admin plane has another, not exposed', () => {
    expect(environment).toMatchObject({
      XENONFLARE_MOCK_HOST: '0.0.0.0',
      XENONFLARE_MOCK_ADMIN_PORT: '4311',
    });
    expect(onlyTextOf(last, 'EXPOSE')).toBe(environment['XENONFLARE_MOCK_PORT']);
  });

  it('starts the server and its health check without a shell', () => {
    expect(execForm(onlyTextOf(last, 'ENTRYPOINT'))).not.toBeNull();
    expect(healthCommand()[0]).toBe('node');
    expect(instructionsOf(last, 'CMD')).toEqual([]);
  });

  it('installs by the lockfile, without scripts, and at run time without development packages', () => {
    const installs = stages.map((stage) =>
      instructionsOf(stage, 'RUN').filter(({ text }) => /\bnpm (?!run\b)/.test(text)),
    );
    for (const [install, ...more] of installs) {
      expect(more).toEqual([]);
      expect(install?.text).toMatch(/^npm ci .*--ignore-scripts/);
    }
    expect(installs.at(-1)?.[0]?.text).toContain('--omit=dev');
  });

  it('copies exactly what .dockerignore lets through, and fetches nothing from elsewhere', () => {
    const copies = stages.flatMap((stage) => instructionsOf(stage, 'COPY'));
    const fromContext = copies.filter(({ flags }) => flags['from'] === undefined);
    const sources = fromContext.flatMap(({ text }) => text.split(/\s+/).slice(0, -1));
    expect([...new Set(sources)].toSorted()).toEqual(allowed.toSorted());
    expect(stages.flatMap((stage) => instructionsOf(stage, 'ADD'))).toEqual([]);
  });
});
