// findings.ts: what schemathesis reports although it is right, each with its reason. Any other finding fails the run.

interface Finding {
  /** As the report names it: the check's code and the operation. */
  readonly code: string;
  readonly operations: readonly string[];
  readonly reason: string;
}

const TEXT_OF_A_DOCUMENT =
  'The schema speaks of the text that is sent; schemathesis looks at what it has parsed of it.';
const BETWEEN_FIELDS =
  'A rule that is well formed can still be one that cannot happen (a phase that the effect does not have, a span that ends before it begins, a field given under both of its names). The server says so with a pointer; the schema has the outline alone.';

export const ACCEPTED: Readonly<Record<string, readonly Finding[]>> = {
  'openapi.yaml': [],
  'openapi-admin.yaml': [
    {
      code: 'ST108',
      operations: ['GET /openapi.yaml', 'GET /openapi-admin.yaml', 'GET /events'],
      reason: TEXT_OF_A_DOCUMENT,
    },
    { code: 'ST202', operations: ['POST /rules', 'PUT /rules'], reason: BETWEEN_FIELDS },
    {
      code: 'ST202',
      operations: ['GET /requests', 'POST /requests/count', 'POST /requests/find'],
      reason:
        'A `ruleId` that was never armed for the key is 400 with its pointer: it depends on what was armed.',
    },
    {
      code: 'ST202',
      operations: ['POST /requests/wait', 'POST /rules/{id}/wait'],
      reason: '408 with what was seen is the answer of a wait for what does not come.',
    },
    {
      code: 'ST202',
      operations: ['GET /uploads/{fileId}', 'GET /uploads/{fileId}/content', 'DELETE /uploads/{fileId}'],
      reason:
        'With `?namespace=*` an id that several keys hold is 400, which names them: it depends on what is stored.',
    },
    {
      code: 'ST202',
      operations: ['PUT /state'],
      reason:
        'Chunks, totals and entries of a state must agree with each other and with the key; the server names each place that does not.',
    },
    {
      code: 'ST202',
      operations: ['PUT /clock'],
      reason: 'A clock cannot be moved beyond the year 9999, or before 1970: it depends on where it stands.',
    },
    {
      code: 'ST202',
      operations: ['POST /verify'],
      reason:
        'An expectation has `count`, or `atLeast` and `atMost` in order: the server says which two do not go together.',
    },
  ],
};
