// http/text-body.ts: JSON and urlencoded bodies: real uploaders finalise with them, too (rule F1), and the admin plane takes JSON.
//
// Promises: read through the same feed as forms, so that silence of the client ends them (§7); bounded; what cannot be
// parsed, or says a field twice, is refused before any route sees it.
// Must not know: which fields there are.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError, invalidFields } from '../errors.ts';
import { BodyFeed } from './body-feed.ts';
import type { BodyRules } from './exchange.ts';
import { parseJson, parseUrlencoded } from './text.ts';

export function addTextBodies(app: FastifyInstance, rules: BodyRules, maxBytes: number): void {
  const refusal = `a JSON or urlencoded body must fit into ${maxBytes} bytes (--max-field-bytes); send large values as multipart/form-data`;
  const parser =
    (parse: (body: Buffer) => unknown) =>
    async (request: FastifyRequest): Promise<unknown> =>
      parse(await readBody(request, rules, { maxBytes, refusal }));
  app.addContentTypeParser('application/json', parser(parseJson));
  app.addContentTypeParser('application/x-www-form-urlencoded', parser(fieldsOnce));
}

/** How long a body may be, and what is said of a longer one. */
export interface BodyLimit {
  readonly maxBytes: number;
  readonly refusal: string;
}

/** @throws AppError `body_too_large`, `request_timeout`; ClientGone */
export async function readBody(
  request: FastifyRequest,
  rules: BodyRules,
  { maxBytes, refusal }: BodyLimit,
): Promise<Buffer> {
  const declaredBytes = Number(request.headers['content-length'] ?? 0);
  if (declaredBytes > maxBytes) throw new AppError('body_too_large', refusal);
  const feed = new BodyFeed(request.raw, rules.idleMs, rules.budget);
  const all: Buffer[] = [];
  try {
    // No more is waited for than tells that it is too long.
    const next = (): Promise<Buffer[] | null> => feed.next(maxBytes + 1 - feed.receivedBytes);
    for (let pieces = await next(); pieces !== null; pieces = await next()) {
      if (feed.receivedBytes > maxBytes) throw new AppError('body_too_large', refusal);
      all.push(...pieces);
    }
  } finally {
    feed.close();
  }
  return Buffer.concat(all);
}

function fieldsOnce(body: Buffer): unknown {
  const fields = [...parseUrlencoded(body.toString('latin1'))];
  const twice = fields.filter(([, values]) => values.length > 1);
  if (twice.length > 0)
    throw invalidFields(twice.map(([field]) => ({ field, message: 'given twice; send it once' })));
  return Object.fromEntries(fields.map(([name, [value]]) => [name, value]));
}
