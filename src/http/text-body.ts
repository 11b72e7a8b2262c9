// http/text-body.ts: JSON and urlencoded bodies: real uploaders finalise with them, too (rule F1).
//
// Promises: read through the same feed as forms, so that silence of the client ends them (§7); bounded; what cannot be
// parsed, or says a field twice, is refused before any route sees it.
// Must not know: which fields there are.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError, invalidFields } from '../errors.ts';
import { BodyFeed } from './body-feed.ts';
import type { BodyRules } from './exchange.ts';

export function addTextBodies(app: FastifyInstance, rules: BodyRules, maxBytes: number): void {
  const parser =
    (parse: (text: string) => unknown) =>
    async (request: FastifyRequest): Promise<unknown> =>
      parse(await readText(request, rules, maxBytes));
  app.addContentTypeParser('application/json', parser(parseJson));
  app.addContentTypeParser('application/x-www-form-urlencoded', parser(parseUrlencoded));
}

/** @throws AppError `body_too_large`, `request_timeout`; ClientGone */
async function readText(request: FastifyRequest, rules: BodyRules, maxBytes: number): Promise<string> {
  const declaredBytes = Number(request.headers['content-length'] ?? 0);
  if (declaredBytes > maxBytes) throw tooLarge(maxBytes);
  const feed = new BodyFeed(request.raw, rules.idleMs, rules.budget);
  const all: Buffer[] = [];
  try {
    for (let pieces = await feed.next(); pieces !== null; pieces = await feed.next()) {
      if (feed.receivedBytes > maxBytes) throw tooLarge(maxBytes);
      all.push(...pieces);
    }
  } finally {
    feed.close();
  }
  return Buffer.concat(all).toString();
}

function tooLarge(maxBytes: number): AppError {
  return new AppError(
    'body_too_large',
    `a JSON or urlencoded body must fit into ${maxBytes} bytes (--max-field-bytes); send large values as multipart/form-data`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const got = text === '' ? 'is empty' : 'cannot be read as JSON';
    throw new AppError('malformed_json', `the body says JSON and ${got}`);
  }
}

function parseUrlencoded(text: string): unknown {
  const fields = new URLSearchParams(text);
  const twice = [...new Set(fields.keys())].filter((name) => fields.getAll(name).length > 1);
  if (twice.length > 0)
    throw invalidFields(twice.map((field) => ({ field, message: 'given twice; send it once' })));
  return Object.fromEntries(fields);
}
