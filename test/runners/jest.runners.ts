// jest.runners.ts: the example for Jest, and the double under its fake timers. Run by `npm run test:runners`, which installs Jest.
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { IN_JSON, projectWith, runIn, runnerSuite, TIMEOUT_MS, type Runner } from './runner-suite.ts';

const COMMAND = fileURLToPath(new URL('node_modules/jest/bin/jest.js', import.meta.url));

/** With a configuration of its own: left alone it would look for one and find that of this repository. */
const JEST: Runner = {
  name: 'Jest',
  file: 'upload.jest.test.mjs',
  async arguments(folder) {
    const config = { rootDir: folder, testMatch: [`<rootDir>/${this.file}`], transform: {} };
    const flags = ['--config', JSON.stringify(config), '--json', '--watchman=false'];
    return ['--experimental-vm-modules', COMMAND, ...flags];
  },
  ...IN_JSON,
};

runnerSuite(JEST);

const FROZEN = `import { jest } from '@jest/globals';
import { startServer } from 'xenonflare-mock';

test('a server starts, answers and closes under fake timers', async () => {
  const early = await startServer();
  jest.useFakeTimers();
  const late = await startServer();
  for (const { url } of [early, late])
    expect((await fetch(url + '/media/chunks?fileId=f')).status).toBe(200);
  await expect(late.journal.wait({ fileId: 'another' }, { timeoutMs: 20 })).rejects.toThrow('waited');
  await Promise.all([early.close(), late.close()]);
});
`;

describe('under the fake timers of Jest, which take process.nextTick, too', () => {
  it('the double starts, answers and closes', { timeout: TIMEOUT_MS }, async () => {
    const run = await runIn(await projectWith(JEST.file, () => FROZEN), JEST);
    expect(run, run.text).toMatchObject({ status: 0, passed: 1, failed: 0 });
  });
});
