// contract/contract.ts: checks requests and answers against openapi.yaml or openapi-admin.yaml, and lists their operations.
//
// Promises: the document is the only source; a check never throws on what a client or the server sent and never
// sees a file's bytes; each validator is compiled once, when it is first needed.

import {
  isRecord,
  readDocument,
  type DocumentName,
  type Header,
  type MediaType,
  type Named,
  type OpenApiDocument,
  type OperationObject,
  type ResponseObject,
  type Schema,
} from './document.ts';
import { createValidate, type Validate } from './validator.ts';

export interface StatusContract {
  /** The error codes that may stand under this status; empty for a success. */
  readonly codes: readonly string[];
  readonly response: ResponseObject;
}

export interface Operation extends OperationObject {
  /** In upper case. */
  readonly method: string;
  /** As in the document, without the server's prefix: `/media/videos/{id}`. */
  readonly path: string;
  readonly isKeyOptional: boolean;
  readonly statuses: ReadonlyMap<number, StatusContract>;
}

export interface OperationMatch {
  readonly operation: Operation;
  /** The `url` of the server entry that the path came under: `/`, `/api/v1` or `/__admin`. */
  readonly prefix: string;
}

export interface ResponseFacts {
  readonly operationId: string;
  readonly status: number;
  readonly contentType: string | undefined;
  /** Names in lower case, as Node gives them. Left out: headers are not checked. */
  readonly headers?: Named<unknown>;
  /** The JSON value, or its text. */
  readonly body: unknown;
}

/** One part of a form. A file part has no `value`: its bytes are not looked at. */
export interface FormPart {
  readonly name: string;
  readonly value?: string;
}

export interface RequestFacts {
  readonly operationId: string;
  readonly query?: Named<unknown>;
  /** Names in lower case. Left out: the key is not checked. */
  readonly headers?: Named<unknown>;
  readonly contentType?: string | undefined;
  /** Of a multipart or urlencoded body, in the order sent. */
  readonly fields?: readonly FormPart[];
  /** Of a JSON body: the value. */
  readonly body?: unknown;
}

export interface Contract {
  /** The document as it is, for serving. */
  readonly text: string;
  readonly document: OpenApiDocument;
  readonly operations: readonly Operation[];
  /** The operation behind a method and a path (a query is ignored), or null. */
  match(method: string, url: string): OperationMatch | null;
  /** What the answer breaks, one sentence each; empty when it keeps the contract. */
  checkResponse(response: ResponseFacts): string[];
  /** What the request breaks. The server may be more lenient and accept it all the same. */
  checkRequest(request: RequestFacts): string[];
}

const loaded = new Map<DocumentName, Contract>();

/** Parsing costs some 0.2 s, so it happens once per process. A contract has no state that callers could share. */
export function loadContract(name: DocumentName = 'openapi.yaml'): Contract {
  const contract = loaded.get(name) ?? createContract(name);
  loaded.set(name, contract);
  return contract;
}

function createContract(name: DocumentName): Contract {
  const { text, document } = readDocument(name);
  const { security = [] } = document;
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) =>
      toOperation({ path, method: method.toUpperCase() }, { security, ...operation }),
    ),
  );
  const byId = new Map(operations.map((operation) => [operation.operationId, operation]));
  const validate = createValidate();
  return {
    text,
    document,
    operations,
    match: createMatch(document, operations),
    checkResponse(facts) {
      const violations = responseViolations(byId.get(facts.operationId), facts, validate);
      return violations.map((violation) => `${facts.operationId} ${facts.status}: ${violation}`);
    },
    checkRequest(facts) {
      const violations = requestViolations(byId.get(facts.operationId), facts, validate);
      return violations.map((violation) => `${facts.operationId}: ${violation}`);
    },
  };
}

function toOperation(route: Pick<Operation, 'path' | 'method'>, operation: OperationObject): Operation {
  const statuses = Object.entries(operation.responses).map(([status, response]) => {
    return [Number(status), { codes: response['x-error-codes'] ?? [], response }] as const;
  });
  const { security = [{ key: [] }] } = operation;
  const isKeyOptional = security.length === 0 || security.some((way) => Object.keys(way).length === 0);
  return { ...operation, ...route, isKeyOptional, statuses: new Map(statuses) };
}

function createMatch({ servers }: OpenApiDocument, operations: readonly Operation[]): Contract['match'] {
  const candidates = servers.flatMap(({ url: prefix }) =>
    operations.map((operation) => {
      const written = `${prefix === '/' ? '' : prefix}${operation.path}`;
      return {
        operation,
        prefix,
        written,
        pattern: new RegExp(`^${written.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
      };
    }),
  );
  const concrete = new Set(candidates.map(({ written }) => written));
  return (method, url) => {
    const [path = ''] = url.split('?', 1);
    // A path that is written out is no value of another's template, whatever its methods are (OpenAPI 3.1, paths).
    const isConcrete = concrete.has(path);
    const found = candidates.find(
      ({ operation, written, pattern }) =>
        operation.method === method && (isConcrete ? written === path : pattern.test(path)),
    );
    return found === undefined ? null : { operation: found.operation, prefix: found.prefix };
  };
}

/** Every body that the operation takes, those of `x-lenient-content` behind the contract's own. */
export function bodiesOf({ requestBody }: OperationObject): Named<MediaType> {
  return { ...requestBody?.content, ...requestBody?.['x-lenient-content'] };
}

/** The media type's entry, or a sentence. Own keys only: a client may call its type `constructor`. */
function findMediaType(content: Named<MediaType>, contentType = ''): MediaType | string {
  const end = contentType.indexOf(';');
  const name = (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
  const mediaType = Object.hasOwn(content, name) ? content[name] : undefined;
  return mediaType ?? `content type is "${name}", expected ${Object.keys(content).join(' or ')}`;
}

function responseViolations(
  operation: Operation | undefined,
  facts: ResponseFacts,
  validate: Validate,
): string[] {
  if (operation === undefined) return ['the operation is not in the contract'];
  const status = operation.statuses.get(facts.status);
  if (status === undefined) return ['the status is not in the contract'];
  const { headers = {} } = status.response;
  const inBody = responseBodyBreaks(status, facts, validate);
  if (facts.headers === undefined) return inBody;
  const expected = Object.entries(headers).map(([name, header]) => ({ ...header, name: name.toLowerCase() }));
  return [...valueViolations(expected, facts.headers, validate), ...inBody];
}

/** An answer whose `content` is empty has no body. */
function responseBodyBreaks(status: StatusContract, facts: ResponseFacts, validate: Validate): string[] {
  const { content } = status.response;
  if (Object.keys(content).length === 0) return facts.body === '' ? [] : ['it has a body, expected none'];
  const mediaType = findMediaType(content, facts.contentType);
  return typeof mediaType === 'string'
    ? [mediaType]
    : bodyBreaks({ ...mediaType, ...status }, facts, validate);
}

/** The body's own sentences; and a refusal has one of the codes of its status. */
function bodyBreaks(
  { schema, codes }: MediaType & StatusContract,
  facts: ResponseFacts,
  validate: Validate,
): string[] {
  const body = bodyValue(facts);
  const found = validate(schema, body, 'body');
  if (found.length > 0 || !isRecord(body) || body['success'] !== false) return found;
  // By hand: a schema that is made for one answer would be compiled, and kept, for each.
  const isPromised = codes.some((code) => code === body['error']);
  return isPromised
    ? []
    : [`body/error must be equal to one of the allowed values (${JSON.stringify(codes)})`];
}

/** What is not JSON is a text to the document. */
function bodyValue({ contentType = '', body }: ResponseFacts): unknown {
  return /json/i.test(contentType) ? jsonOf(body) : body;
}

function jsonOf(body: unknown): unknown {
  if (typeof body !== 'string') return body;
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** Headers of an answer, parameters of a query: text, by name. */
function valueViolations(
  expected: readonly (Header & { readonly name: string })[],
  got: Named<unknown>,
  validate: Validate,
): string[] {
  return expected.flatMap(({ name, required, schema }) => {
    const value = got[name];
    if (value === undefined) return required === true ? [`${name} is missing`] : [];
    const text = typeof value === 'number' ? String(value) : value;
    return validate(schema, typeof text === 'string' ? formValue(schema, text) : text, name);
  });
}

function requestViolations(
  operation: Operation | undefined,
  facts: RequestFacts,
  validate: Validate,
): string[] {
  if (operation === undefined) return ['the operation is not in the contract'];
  const { parameters = [], requestBody } = operation;
  const expected = parameters.filter((parameter) => parameter.in === 'query');
  const violations = [
    ...keyViolations(operation, facts),
    ...valueViolations(expected, facts.query ?? {}, validate),
  ];
  const isBodiless = facts.contentType === undefined && facts.body === undefined;
  if (requestBody === undefined || (isBodiless && requestBody.required !== true)) return violations;
  const mediaType = findMediaType(bodiesOf(operation), facts.contentType);
  return typeof mediaType === 'string'
    ? [...violations, mediaType]
    : [...violations, ...bodyViolations(mediaType, facts, validate)];
}

function keyViolations({ isKeyOptional }: Operation, { headers }: RequestFacts): string[] {
  if (isKeyOptional || headers === undefined) return [];
  const { 'x-api-key': apiKey, authorization } = headers;
  const hasBearer = typeof authorization === 'string' && /^bearer +\S/i.test(authorization);
  const hasKey = hasBearer || (typeof apiKey === 'string' && apiKey !== '');
  return hasKey ? [] : ['X-API-Key is missing, and so is a Bearer key'];
}

function bodyViolations({ schema }: MediaType, facts: RequestFacts, validate: Validate): string[] {
  const { fields, body } = facts;
  if (fields === undefined) return validate(schema, withoutNulls(jsonOf(body), SETTINGS_DEPTH), 'body');
  const { properties = {} } = schema;
  const seen = new Set<string>();
  const violations: string[] = [];
  const values = fields.map(({ name, value = '' }) => {
    const field = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (field !== undefined && seen.has(name)) violations.push(`the field ${name} is given twice`);
    seen.add(name);
    // `contentSchema` is only an annotation to a validator, so the JSON inside a field is looked at here.
    if (field?.contentSchema !== undefined) {
      violations.push(...validate(field.contentSchema, withoutNulls(jsonOf(value), SETTINGS_DEPTH), name));
    }
    return [name, formValue(field, value)] as const;
  });
  return [...violations, ...validate(schema, Object.fromEntries(values), 'form')];
}

/** Bounded, since a body may be nested deeper than the stack. Fields, and the settings inside them, have this depth. */
const SETTINGS_DEPTH = 2;

/** A JSON field that is null counts as not given (rule F3, assumed). */
function withoutNulls(value: unknown, depth: number): unknown {
  if (!isRecord(value) || depth === 0) return value;
  const given = Object.entries(value).filter(([, item]) => item !== null);
  return Object.fromEntries(given.map(([key, item]) => [key, withoutNulls(item, depth - 1)]));
}

/** A form and a query carry text: a whole number is its plain decimal digits (rule C4). */
function formValue(schema: Schema | undefined, text: string): unknown {
  return schema?.type === 'integer' && /^(0|[1-9]\d*)$/.test(text) ? Number(text) : text;
}
