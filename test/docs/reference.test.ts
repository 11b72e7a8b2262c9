// docs/reference.test.ts: docs/reference.md is what its generator makes of the source. `npm run docs` writes it anew.
import { expect, it } from 'vitest';
import { referencePage } from './reference.ts';

it('docs/reference.md is fresh (npm run docs) (§8.4)', async () => {
  await expect(referencePage()).toMatchFileSnapshot('../../docs/reference.md');
});
