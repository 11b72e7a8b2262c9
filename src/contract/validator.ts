// contract/validator.ts: holds values against the schemas of a contract, in sentences.
//
// Promises: each schema is compiled once, when it is first needed; the number of sentences is bounded; the rules that
// the documents write as `x-…`, because client generators read their JSON Schema wrongly, are held to as if they stood there.
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { Named, Schema } from './document.ts';

/**
 * Each `x-…` keyword and the JSON Schema that it stands for. A boolean `const` costs the Python generator the whole answer;
 * of bare `required` in `oneOf`, and of `if`, most make code that does not compile or asks for what must not be sent.
 */
/** @public */
export const RULES: Named<(value: unknown) => object> = {
  'x-const': (value) => ({ const: value }),
  'x-exactly-one-of': (names) => ({ oneOf: eachRequired(names) }),
  'x-at-least-one-of': (names) => ({ anyOf: eachRequired(names) }),
  'x-details-of': (table) => ({ allOf: Object.entries(Object(table)).map(detailsOf) }),
};

function eachRequired(names: unknown): object[] {
  return [names].flat().map((name) => ({ required: [name] }));
}

/** A refusal with this code has these details. */
function detailsOf([code, required]: [string, unknown]): object {
  return {
    if: { properties: { error: { const: code } } },
    // oxlint-disable-next-line unicorn/no-thenable -- the word is JSON Schema's, and nobody awaits it
    then: { properties: { details: { required } } },
  };
}

/** What of the value breaks the schema; `what`: how the value is called. */
export type Validate = (schema: Schema, value: unknown, what: string) => string[];

export function createValidate(): Validate {
  // Not `allErrors`: a hostile body could make as many errors as it has values. Not `strict`: it refuses `x-…`.
  const ajv = new Ajv2020({ strict: false, allErrors: false });
  addFormats.default(ajv);
  for (const [keyword, macro] of Object.entries(RULES)) ajv.addKeyword({ keyword, macro });
  return (schema, value, what) => {
    // Compiled at the first call; from then on ajv knows the schema object.
    const isValid = ajv.compile(schema);
    if (isValid(value)) return [];
    return (isValid.errors ?? [])
      .filter(({ keyword }) => keyword !== 'if' && !Object.hasOwn(RULES, keyword))
      .map((error) => sentence(what, error));
  };
}

function sentence(what: string, { instancePath, message, params }: ErrorObject): string {
  const expected: unknown = params['allowedValues'] ?? params['allowedValue'] ?? params['additionalProperty'];
  const detail = expected === undefined ? '' : ` (${JSON.stringify(expected)})`;
  return `${what}${instancePath} ${message ?? 'is invalid'}${detail}`;
}
