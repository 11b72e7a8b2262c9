// contract-coverage.test.ts: the exchanges of several processes are added up, and every answer that was promised but not seen is
// named.

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { loadContract } from '../../src/contract/contract.ts';
import { recordExchange, summarise } from './contract-coverage.ts';

const contract = loadContract();
let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'exchanges-'));
  vi.stubEnv('XFM_EXCHANGES_DIR', dir);
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true });
});

it('without an exchange everything is missing', () => {
  const { missing, missingCodes, violations } = summarise(dir, contract);
  expect(missing).toHaveLength(contract.operations.flatMap(({ statuses }) => [...statuses]).length);
  expect(missing).toContain('uploadChunk 507');
  expect(missingCodes).toContain('uploadChunk 409 chunk_superseded');
  expect(violations).toEqual([]);
});

it('what was seen is no longer missing, and only that', () => {
  const before = summarise(dir, contract);
  recordExchange({ operationId: 'uploadChunk', status: 409, code: 'chunk_conflict', violations: [] });
  recordExchange({ operationId: 'getVideo', status: 200, violations: [] });
  const after = summarise(dir, contract);
  expect(before.missing.filter((answer) => !after.missing.includes(answer))).toEqual([
    'uploadChunk 409',
    'getVideo 200',
  ]);
  expect(before.missingCodes.filter((answer) => !after.missingCodes.includes(answer))).toEqual([
    'uploadChunk 409 chunk_conflict',
  ]);
});

it('files of other processes count, other files do not', () => {
  const line = JSON.stringify({ operationId: 'listChannels', status: 200, violations: ['v'] });
  writeFileSync(join(dir, 'another.jsonl'), `${line}\n${line}\n`);
  writeFileSync(join(dir, 'notes.txt'), 'not an exchange');
  recordExchange({ operationId: 'listProfiles', status: 200, violations: ['w'] });
  expect(readdirSync(dir)).toHaveLength(3);
  const { missing, violations } = summarise(dir, contract);
  expect(missing).not.toContain('listChannels 200');
  expect(missing).not.toContain('listProfiles 200');
  expect(violations.toSorted()).toEqual(['v', 'w']);
});

it('without the variable nothing is written', () => {
  vi.stubEnv('XFM_EXCHANGES_DIR', undefined);
  recordExchange({ operationId: 'listProfiles', status: 200, violations: [] });
  expect(readdirSync(dir)).toEqual([]);
});

it('a line that is not an exchange stops the summary: half a record is no record', () => {
  writeFileSync(join(dir, 'torn.jsonl'), '{"operationId":"listCha');
  expect(() => summarise(dir, contract)).toThrow(SyntaxError);
});
