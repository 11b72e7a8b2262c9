// schemathesis.generators.ts: the server and its two contracts agree, as schemathesis finds: what a schema allows is accepted, what it
// does not allow is refused, every answer is a documented one, from request to request along the links.
//
// schemathesis is given the documents with JSON Schema's own words in the place of the `x-…` rules, so that it holds the server to
// everything. What it finds and what is right all the same stands in findings.ts.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { expect, inject, it } from 'vitest';
import { RULES } from '../../src/contract/validator.ts';
import { startProcess } from '../helpers/process.ts';
import { ACCEPTED } from './findings.ts';
import type {} from './global-setup.ts';
import { HERE, HOME, PYTHON, ROOT, run } from './toolbox.ts';

const KEY = 'schemathesis';
const LEAST_CASES = 2_000;
const TIMEOUT_MS = 240_000;
/** The same requests in every run, so that a run is not red by chance. Another seed finds what this one does not. */
const SEED = Number(process.env['TEST_SEED'] ?? 1);

interface Report {
  readonly test_cases: { readonly generated: number };
  readonly failures: readonly { code: string; title: string; operations: string[] }[];
  readonly errors: readonly unknown[];
}

/** A link's body would have to be a text for openapi-generator, so the documents spell it otherwise. */
const EXPANSIONS = { ...RULES, 'x-request-body': (value: unknown) => ({ requestBody: value }) };

/** The document in words that every tool of JSON Schema knows. */
function spelledOut(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(spelledOut);
  if (typeof node !== 'object' || node === null) return node;
  const entries = Object.entries(node).map(([key, value]) => {
    const expand = Object.hasOwn(EXPANSIONS, key) ? EXPANSIONS[key as keyof typeof EXPANSIONS] : undefined;
    return expand === undefined ? { [key]: spelledOut(value) } : expand(value);
  });
  return Object.assign({}, ...entries) as unknown;
}

/** So many examples of an operation, and so many walks along the links, make some 2,000 requests in all. */
const DOCUMENTS = [
  { name: 'openapi.yaml', prefix: '', examples: 200, walks: 40 },
  { name: 'openapi-admin.yaml', prefix: '/__admin', examples: 10, walks: 10 },
];

async function report(
  document: string,
  url: string,
  argv: readonly string[],
): Promise<Report & { output: string }> {
  const path = `${document}.report.json`;
  await writeFile(path, '{}');
  const to = ['-m', 'schemathesis.cli', 'run', document, '--url', url, '-H', `X-API-Key: ${KEY}`];
  const how = ['--seed', String(SEED), '--no-color', '--no-shrink', '--request-timeout', '10'];
  const all = [...to, ...how, '--report', 'json', '--report-json-path', path, ...argv];
  const env = { SCHEMATHESIS_HOOKS: 'schemathesis_hooks', PYTHONPATH: HERE, PYTHONDONTWRITEBYTECODE: '1' };
  // A run that found something ends with 1, and says in its report what that was.
  const output = await run(PYTHON, all, { env, timeoutMs: TIMEOUT_MS }).catch(
    (error: Error) => error.message,
  );
  const told = JSON.parse(await readFile(path, 'utf8')) as Partial<Report>;
  const { test_cases, failures, errors } = told;
  if (test_cases === undefined || failures === undefined || errors === undefined) throw new Error(output);
  return { test_cases, failures, errors, output };
}

it.for(DOCUMENTS)(
  'schemathesis finds nothing in 2,000 requests made of $name that is not explained',
  { timeout: TIMEOUT_MS + 30_000 },
  async ({ name, prefix, examples, walks }, context) => {
    const missing = inject('missing').python;
    if (missing !== null) context.skip(`there is no ${missing}`);
    console.log(`TEST_SEED=${SEED}`);
    const flags = ['--storage', 'memory', '--media-check', 'off', '--idle-timeout', '2s', '--api-keys', KEY];
    const { url } = await startProcess(flags);
    const document = join(HOME, `${name}.json`);
    await writeFile(document, JSON.stringify(spelledOut(parse(await readFile(join(ROOT, name), 'utf8')))));
    const requests = ['--phases', 'examples,coverage,fuzzing', '--max-examples', String(examples)];
    // Good requests alone, and none of them taken for a bad one: a link changes them by the field that it brings.
    const good = ['--mode', 'positive', '--exclude-checks', 'negative_data_rejection'];
    const sequences = ['--phases', 'stateful', ...good, '--max-examples', String(walks)];
    const accepted = new Set(
      ACCEPTED[name]?.flatMap(({ code, operations }) => operations.map((one) => `${code} ${one}`)),
    );
    let generated = 0;
    for (const argv of [requests, sequences]) {
      const { test_cases: cases, failures, errors, output } = await report(document, url + prefix, argv);
      const found = failures.flatMap(({ code, title, operations }) =>
        operations.filter((one) => !accepted.has(`${code} ${one}`)).map((one) => `${code} ${one}: ${title}`),
      );
      expect({ found, errors }, output.slice(0, 20_000)).toEqual({ found: [], errors: [] });
      generated += cases.generated;
    }
    console.log(`schemathesis: ${generated} requests made of ${name}`);
    expect(generated).toBeGreaterThanOrEqual(LEAST_CASES);
  },
);
