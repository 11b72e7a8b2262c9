// contract-document.ts: openapi.yaml and openapi-admin.yaml as objects: the part of OpenAPI 3.1 they use, as types, and
// their loading.
//
// Promises: `$ref`s are replaced, so that every schema stands alone; equal refs give the same object; the files are
// found from src/ and from dist/.
// Must not know: what is checked against them (contract.ts), how they are shown. It imports nothing of ours.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

export type Named<T> = Readonly<Record<string, T>>;

/** Whatever the vendor's pages leave open is marked; the reason is there whenever the mark is. */
export interface Assumable {
  readonly description?: string;
  readonly 'x-assumed'?: boolean;
  readonly 'x-assumed-reason'?: string;
}

/** JSON Schema 2020-12; the keywords that are read by name, here or by the docs page. */
export interface Schema extends Assumable {
  readonly type?: string | readonly string[];
  readonly properties?: Named<Schema>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly contentMediaType?: string;
  readonly contentSchema?: Schema;
  readonly deprecated?: boolean;
  readonly 'x-enumDescriptions'?: Named<string>;
  readonly 'x-retryable'?: readonly string[];
  readonly [keyword: string]: unknown;
}

export interface MediaType extends Assumable {
  readonly schema: Schema;
  readonly examples?: Named<Assumable & { readonly summary?: string; readonly value: unknown }>;
}

export interface Header extends Assumable {
  readonly required?: boolean;
  readonly schema: Schema;
}

export interface ResponseObject extends Assumable {
  readonly headers?: Named<Header>;
  readonly content: Named<MediaType>;
  /** Of a refusal: the codes that can stand in its `error` under this status. */
  readonly 'x-error-codes'?: readonly string[];
}

export interface OperationObject extends Assumable {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly 'x-rules'?: readonly (Assumable & { readonly id: string; readonly text: string })[];
  readonly security?: readonly Named<unknown>[];
  readonly parameters?: readonly (Header & {
    readonly name: string;
    readonly in: string;
    readonly example: string | number;
  })[];
  readonly requestBody?: {
    readonly required?: boolean;
    readonly content: Named<MediaType>;
    /** Bodies that the server takes, too, and that are not for client generators to see. */
    readonly 'x-lenient-content'?: Named<MediaType>;
  };
  readonly responses: Named<ResponseObject>;
}

/** A document with its `$ref`s replaced. */
export interface OpenApiDocument {
  readonly info: Assumable & {
    readonly title: string;
    readonly version: string;
    readonly summary: string;
    /** What a key is for where none is needed. */
    readonly 'x-keyless'?: string;
  };
  readonly servers: readonly (Assumable & { readonly url: string })[];
  /** Of every operation that says nothing else. */
  readonly security?: readonly Named<unknown>[];
  readonly tags: readonly (Assumable & { readonly name: string })[];
  readonly paths: Named<Named<OperationObject>>;
  readonly components: {
    readonly schemas: Named<Schema>;
    readonly securitySchemes: Named<Assumable & { readonly name?: string }>;
  };
}

/** The API that is imitated, and the server's own. */
export type DocumentName = 'openapi.yaml' | 'openapi-admin.yaml';

interface Source {
  readonly text: string;
  /** The same as JSON, by the last step of the build; null when we run from src/. */
  readonly json: string | null;
}

const sources = new Map<DocumentName, Source>();

/**
 * Reads what `readDocument` needs. To be done before a server is ready (D8): a package that is replaced meanwhile, or a
 * process without a descriptor to spare, must not be what its first exchange meets.
 */
export function readSources(): void {
  for (const name of ['openapi.yaml', 'openapi-admin.yaml'] as const) sourceOf(name);
}

function sourceOf(name: DocumentName): Source {
  const known = sources.get(name) ?? readSource(name);
  sources.set(name, known);
  return known;
}

function readSource(name: DocumentName): Source {
  // src/ and dist/ both lie beside the documents.
  const text = readFileSync(new URL(`../${name}`, import.meta.url), 'utf8');
  const built = jsonOf(name);
  return { text, json: existsSync(built) ? readFileSync(built, 'utf8') : null };
}

export function readDocument(name: DocumentName): {
  readonly text: string;
  readonly document: OpenApiDocument;
} {
  // The type is the document's promise; the linter and test/contract.test.ts hold it to that.
  return { text: sourceOf(name).text, document: resolveRefs(writtenDocument(name)) as OpenApiDocument };
}

/** The document as it was written, with its `$ref`s. */
export function writtenDocument(name: DocumentName): unknown {
  const { text, json } = sourceOf(name);
  // Parsing YAML takes some 0.3 s, which the first exchange of a server would have to wait for: a build has it as JSON.
  return json === null ? parse(text) : JSON.parse(json);
}

/** Loaded when it is needed, and a started build never needs it. */
function parse(text: string): unknown {
  const yaml = createRequire(import.meta.url)('yaml') as typeof import('yaml');
  return yaml.parse(text);
}

function jsonOf(name: DocumentName): URL {
  return new URL(`./${name.replace('.yaml', '.json')}`, import.meta.url);
}

/** The last step of the build (package.json): see `readParsed`. @public */
export function writeParsed(): void {
  for (const name of ['openapi.yaml', 'openapi-admin.yaml'] as const) {
    const source = new URL(`../${name}`, import.meta.url);
    if (existsSync(source)) writeFileSync(jsonOf(name), JSON.stringify(parse(readFileSync(source, 'utf8'))));
  }
}

/** The same object for the same place lets each schema be compiled once. The documents have no cycles. */
function resolveRefs(root: unknown): unknown {
  const known = new Map<unknown, unknown>();
  const lookUp = (ref: string): unknown => {
    const keys = ref
      .slice(2)
      .split('/')
      .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
    return resolve(keys.reduce((node, key) => Reflect.get(Object(node), key), root));
  };
  const resolve = (node: unknown): unknown => {
    if (!known.has(node)) known.set(node, resolveAnew(node));
    return known.get(node);
  };
  const resolveAnew = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(resolve);
    if (!isRecord(node)) return node;
    const { $ref: ref, ...beside } = node;
    if (typeof ref === 'string') {
      // What stands beside a ref, a description mostly, is meant for this place alone.
      const isBare = Object.keys(beside).length === 0;
      return isBare ? lookUp(ref) : { ...Object(lookUp(ref)), ...Object(resolve(beside)) };
    }
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, resolve(value)]));
  };
  return resolve(root);
}

export function isRecord(value: unknown): value is Named<unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
