// helpers/global-setup.ts: after the whole suite it checks that every answer promised by openapi.yaml and openapi-admin.yaml was
// seen, and that no answer broke them.
//
// A run of only some files or some tests is not judged by the answers that it did not see.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { loadContract } from '../../src/contract/contract.ts';
import { summarise } from './contract-coverage.ts';

const DOCUMENTS = ['openapi.yaml', 'openapi-admin.yaml'] as const;

export function setup(project: TestProject): () => Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'xenonflare-mock-exchanges-'));
  process.env['XFM_EXCHANGES_DIR'] = dir; // The workers inherit it.
  return async () => {
    try {
      if (await ranWhole(project)) for (const name of DOCUMENTS) judge(dir, name);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  };
}

async function ranWhole(project: TestProject): Promise<boolean> {
  const { state, config, projects } = project.vitest;
  const ran = new Set(
    state.getFiles().flatMap(({ filepath, result }) => (result === undefined ? [] : [filepath])),
  );
  const all = await Promise.all(projects.map((one) => one.globTestFiles()));
  const wanted = all.flatMap(({ testFiles }) => testFiles);
  return config.testNamePattern === undefined && wanted.every((file) => ran.has(file));
}

function judge(dir: string, name: (typeof DOCUMENTS)[number]): void {
  const contract = loadContract(name);
  const { missing, missingCodes, violations } = summarise(dir, contract);
  const promised = contract.operations.flatMap(({ statuses }) =>
    [...statuses.values()].map(({ codes }) => codes.length),
  );
  const codes = promised.reduce((sum, count) => sum + count, 0);
  const problems = [
    ...missing.map((answer) => `promised and never seen: ${answer}`),
    ...missingCodes.map((answer) => `promised and never seen: ${answer}`),
    ...violations.map((violation) => `broken: ${violation}`),
  ];
  const seen = `${promised.length - missing.length} of ${promised.length} answers, ${codes - missingCodes.length} of ${codes} error codes`;
  console.log(`\n ${name}: ${seen}, ${violations.length} violations`);
  for (const problem of problems) console.error(`   ${problem}`);
  // vitest would only print an error that is thrown here, and the run would still succeed.
  if (problems.length > 0) process.exitCode = 1;
}
