// admin/docs-document.ts: prepares a contract for Swagger UI. Keywords that Swagger UI does not show become text.
//
// Promises: every `x-assumed` is a mark with its reason where it stands, every rule, error code and its meaning is in the
// description of what it is about, and the bodies that are taken beside those of the contract are among them. Nothing
// else is changed.
import { isRecord, type Named } from '../contract/document.ts';

type Node = Readonly<Record<string, unknown>>;

/** @param origin put before the prefixes of the servers; empty when the page has the same one */
export function shownDocument(contract: unknown, origin: string): unknown {
  const document = Object(contract) as Node;
  const meanings = meaningsIn(document);
  return {
    ...shown(document, meanings),
    info: infoOf(document),
    servers: serversOf(document['servers'], origin),
  };
}

interface Meanings {
  readonly [code: string]: string;
}

/** Of the error codes, as one schema of the document tells them. */
function meaningsIn(document: Node): Meanings {
  const { 'x-enumDescriptions': texts, 'x-retryable': retryable } = Object(
    at(document, ['components', 'schemas', 'ErrorCode']),
  ) as Node;
  const again = Array.isArray(retryable) ? retryable : [];
  return Object.fromEntries(
    Object.entries(Object(texts) as Named<string>).map(([code, text]) => [
      code,
      again.includes(code) ? `${text} Retryable.` : text,
    ]),
  );
}

function at(node: unknown, keys: readonly string[]): unknown {
  return keys.reduce<unknown>((inner, key) => Reflect.get(Object(inner) as object, key), node);
}

/** What stands in texts of its own; the keywords themselves would only be shown a second time. */
const TOLD = new Set([
  'x-assumed',
  'x-assumed-reason',
  'x-rules',
  'x-error-codes',
  'x-enumDescriptions',
  'x-retryable',
  'x-lenient-content',
  'x-keyless',
]);

/** What a client sends or gets is no part of the document's language: a field there may have any name. */
const VALUES = new Set(['value', 'example', 'const', 'default', 'enum', 'x-const']);

function shown(node: Node, meanings: Meanings): Node {
  const copy = Object.entries(node)
    .filter(([key]) => !TOLD.has(key))
    .map(([key, value]) => [key, VALUES.has(key) ? value : shownValue(value, meanings)] as const);
  const description = descriptionOf(node, meanings);
  const content = contentOf(node);
  return {
    ...Object.fromEntries(copy),
    ...(description === '' ? {} : { description }),
    ...(content === undefined ? {} : { content: shownValue(content, meanings) }),
  };
}

function shownValue(value: unknown, meanings: Meanings): unknown {
  if (Array.isArray(value)) return value.map((item) => shownValue(item, meanings));
  return isRecord(value) ? shown(value, meanings) : value;
}

/** A form has the bodies of the contract and those that are taken, too. */
function contentOf({ content, 'x-lenient-content': lenient }: Node): unknown {
  return isRecord(lenient) ? { ...Object(content), ...lenient } : undefined;
}

function descriptionOf(node: Node, meanings: Meanings): string {
  const { description } = node;
  // A property that is called so is a schema, and no text.
  if (description !== undefined && typeof description !== 'string') return '';
  const texts = [
    description,
    assumption(node),
    ...contentAssumptions(node),
    rulesText(node['x-rules']),
    codesText(node['x-error-codes'] ?? ownCodes(node), meanings),
  ];
  return texts.filter((text) => text !== undefined && text !== '').join('\n\n');
}

function assumption(node: Node): string | undefined {
  if (node['x-assumed'] !== true) return undefined;
  return `<mark>assumed</mark> ${textIn(node, 'x-assumed-reason')}`;
}

/** A media type has no description to tell it in. */
function contentAssumptions(node: Node): readonly string[] {
  const bodies = { ...Object(node['content']), ...Object(node['x-lenient-content']) } as Named<unknown>;
  return Object.entries(bodies).flatMap(([type, body]) => {
    const text = isRecord(body) ? assumption(body) : undefined;
    return text === undefined ? [] : [`\`${type}\`: ${text}`];
  });
}

function textIn(node: Node, key: string): string {
  const text = node[key];
  return typeof text === 'string' ? text : '';
}

function rulesText(rules: unknown): string | undefined {
  if (!Array.isArray(rules)) return undefined;
  const lines = rules.map((rule: Node) =>
    [`- **${textIn(rule, 'id')}** ${textIn(rule, 'text')}`, assumption(rule)].join(' ').trim(),
  );
  return `**Rules**\n\n${lines.join('\n')}`;
}

/** Of the schema of all codes. */
function ownCodes(node: Node): unknown {
  return node['x-enumDescriptions'] === undefined ? undefined : node['enum'];
}

function codesText(codes: unknown, meanings: Meanings): string | undefined {
  if (!Array.isArray(codes)) return undefined;
  return codes.map((code) => `- \`${String(code)}\` ${meanings[String(code)] ?? ''}`.trim()).join('\n');
}

/** What is assumed of a server is told here: where servers are chosen there is room for a few words of plain text. */
function infoOf(document: Node): unknown {
  const { summary, description, ...rest } = shown(Object(document['info']) as Node, {});
  const servers = Array.isArray(document['servers']) ? (document['servers'] as Node[]) : [];
  const about = servers.map((server) =>
    [`- \`${textIn(server, 'url')}\` ${textIn(server, 'description')}`, assumption(server)].join(' ').trim(),
  );
  const texts = [
    typeof summary === 'string' ? `**${summary}**` : '',
    description,
    '**Prefixes**',
    about.join('\n'),
  ];
  return { ...rest, description: texts.filter((text) => text !== '' && text !== undefined).join('\n\n') };
}

function serversOf(servers: unknown, origin: string): unknown {
  return (Array.isArray(servers) ? (servers as Node[]) : []).map(({ url }) => ({
    url: `${origin}${String(url)}`,
  }));
}
