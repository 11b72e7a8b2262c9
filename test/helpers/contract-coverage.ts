// helpers/contract-coverage.ts: which promised answers the tests have really seen, and which answers broke the contract.
//
// Test processes run in parallel, so each writes its own file into the folder XFM_EXCHANGES_DIR. After the last process `summarise`
// reads all files. Without that variable nothing is written.
// Format: a file `*.jsonl` is valid if and only if each of its lines is one exchange as JSON.

import { randomUUID } from 'node:crypto';
import { appendFileSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Contract } from '../../src/contract/contract.ts';

export interface RecordedExchange {
  readonly operationId: string;
  readonly status: number;
  /** The error code of the answer, if it had one. */
  readonly code?: string | undefined;
  readonly violations: readonly string[];
}

export interface Coverage {
  /** Answers that are promised and were never seen: `uploadChunk 507`. */
  readonly missing: string[];
  /** The same for the error codes of each status: `uploadChunk 409 chunk_superseded`. */
  readonly missingCodes: string[];
  /** Each is listed once, however often it was seen. */
  readonly violations: string[];
}

const FILE_NAME = `exchanges-${randomUUID()}.jsonl`;

export function recordExchange({ operationId, status, code, violations }: RecordedExchange): void {
  const dir = process.env['XFM_EXCHANGES_DIR'];
  if (dir === undefined || dir === '') return;
  mkdirSync(dir, { recursive: true });
  // The write is synchronous because a worker can be ended at any time after its last test. A line is short enough to be written
  // whole.
  appendFileSync(join(dir, FILE_NAME), `${JSON.stringify({ operationId, status, code, violations })}\n`);
}

export function summarise(dir: string, contract: Contract): Coverage {
  const own = new Set(contract.operations.map(({ operationId }) => operationId));
  const exchanges = readExchanges(dir).filter(({ operationId }) => own.has(operationId));
  const seen = new Set(
    exchanges.flatMap(({ operationId, status, code }) => [
      `${operationId} ${status}`,
      `${operationId} ${status} ${code}`,
    ]),
  );
  const promised = contract.operations.flatMap(({ operationId, statuses }) =>
    [...statuses].map(([status, { codes }]) => ({ answer: `${operationId} ${status}`, codes })),
  );
  const promisedCodes = promised.flatMap(({ answer, codes }) => codes.map((code) => `${answer} ${code}`));
  return {
    missing: promised.map(({ answer }) => answer).filter((answer) => !seen.has(answer)),
    missingCodes: promisedCodes.filter((answer) => !seen.has(answer)),
    violations: [...new Set(exchanges.flatMap(({ violations }) => violations))],
  };
}

function readExchanges(dir: string): readonly RecordedExchange[] {
  const files = readdirSync(dir).filter((name) => name.endsWith('.jsonl'));
  const lines = files.flatMap((name) => readFileSync(join(dir, name), 'utf8').split('\n').filter(Boolean));
  return lines.map((line) => JSON.parse(line) as RecordedExchange);
}
