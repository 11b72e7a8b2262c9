// contract-validator.ts: holds values against the schemas of a contract, in sentences.
//
// Promises: each schema is compiled once, when it is first needed; the number of sentences is bounded.
import { createRequire } from 'node:module';
import type { ErrorObject } from 'ajv/dist/2020.js';
import type { Schema } from './contract-document.ts';

/** What of the value breaks the schema; `what`: how the value is called. */
export type Validate = (schema: Schema, value: unknown, what: string) => string[];

export function createValidate(): Validate {
  // Not `allErrors`: a hostile body could make as many errors as it has values. Not `strict`: it refuses `x-…`.
  const { Ajv2020, addFormats } = loadAjv();
  const ajv = new Ajv2020({ strict: false, allErrors: false });
  addFormats(ajv);
  return (schema, value, what) => {
    // Compiled at the first call; from then on ajv knows the schema object.
    const isValid = ajv.compile(schema);
    if (isValid(value)) return [];
    return (isValid.errors ?? [])
      .filter(({ keyword }) => keyword !== 'if')
      .map((error) => sentence(what, error));
  };
}

/** With the first exchange, whose answer does not wait for it: a start would. */
function loadAjv(): Pick<typeof import('ajv/dist/2020.js'), 'Ajv2020'> & {
  readonly addFormats: (typeof import('ajv-formats'))['default'];
} {
  const require = createRequire(import.meta.url);
  const { Ajv2020 } = require('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js');
  const { default: addFormats } = require('ajv-formats') as typeof import('ajv-formats');
  return { Ajv2020, addFormats };
}

function sentence(what: string, { instancePath, message, params }: ErrorObject): string {
  const expected: unknown = params['allowedValues'] ?? params['allowedValue'] ?? params['additionalProperty'];
  const detail = expected === undefined ? '' : ` (${JSON.stringify(expected)})`;
  return `${what}${instancePath} ${message ?? 'is invalid'}${detail}`;
}
