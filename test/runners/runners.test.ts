// runners.test.ts: the examples for Vitest and node:test. Jest, which has packages of its own, is in jest.runners.ts.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '../helpers/app.ts';
import { IN_JSON, ROOT, runnerSuite, type Runner } from './runner-suite.ts';

/** With a configuration of its own: left alone it would look for one and find that of this repository. */
const VITEST: Runner = {
  name: 'Vitest',
  file: 'upload.vitest.test.mjs',
  async arguments(folder) {
    const own = await temporaryFolder();
    const config = join(own, 'vitest.config.mjs');
    // Or it leaves a folder of results beside the example.
    await writeFile(config, `export default { cacheDir: ${JSON.stringify(own)} };\n`);
    const flags = ['run', '--root', folder, '--config', config, '--reporter', 'json'];
    return [join(ROOT, 'node_modules/vitest/vitest.mjs'), ...flags, this.file];
  },
  ...IN_JSON,
};

const NODE_TEST: Runner = {
  name: 'node:test',
  file: 'upload.node.test.mjs',
  arguments: async (folder) => ['--test', '--test-reporter', 'tap', join(folder, 'upload.node.test.mjs')],
  passed: /^# pass (\d+)$/m,
  failed: /^# fail (\d+)$/m,
};

runnerSuite(VITEST);
runnerSuite(NODE_TEST);
