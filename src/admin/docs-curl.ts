// admin/docs-curl.ts: the first example of an operation as a command: what a reader wants to copy.
//
// Must not know: HTML.
import type { OpenApiDocument } from '../contract/document.ts';
import type { Operation } from '../contract/contract.ts';

export function curlOf(operation: Operation, { servers }: OpenApiDocument): string {
  const { method, isKeyOptional } = operation;
  const prefix = servers[0]?.url.replace(/\/$/, '') ?? '';
  const key = isKeyOptional ? [] : [`-H 'X-API-Key: your_api_key'`];
  const command = method === 'GET' ? 'curl' : `curl -X ${method}`;
  return [`${command} "$URL${prefix}${targetOf(operation)}"`, ...key, ...bodyOf(operation)].join(' \\\n  ');
}

/** Without the parameters that can be left out. */
function targetOf({ path, parameters = [] }: Operation): string {
  return parameters.reduce((whole, { name, example, required, in: where }) => {
    if (where === 'path') return whole.replace(`{${name}}`, String(example));
    return required === true ? `${whole}?${name}=${String(example)}` : whole;
  }, path);
}

function bodyOf({ requestBody }: Operation): readonly string[] {
  const [[type, mediaType] = []] = Object.entries(requestBody?.content ?? {});
  const [example] = Object.values(mediaType?.examples ?? {});
  if (example === undefined) return [];
  if (type === 'application/json') return [`-d '${JSON.stringify(example.value)}'`];
  return Object.entries(Object(example.value)).map(([name, text]) =>
    name === 'file' ? `-F 'file=@chunk.bin'` : `-F '${name}=${String(text)}'`,
  );
}
