// http/forms/text-body.ts: reads JSON and urlencoded bodies. Real clients also finalise with them (rule F1), and the admin plane
// takes JSON.
//
// Promises: bodies are read through the same feed as forms, so that a silent client is timed out (§7). Their size is bounded. A
// body that cannot be parsed, or that has a field twice, is refused before any route sees it.
// Must not know: which fields there are.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError, invalidFields } from '../../core/errors.ts';
import { parseExactly, secondNameIn, withoutMarks } from '../../core/exact-json.ts';
import { isEntryField } from '../../media/entry-form.ts';
import { BodyFeed } from '../connection/body-feed.ts';
import type { BodyRules } from '../exchange.ts';
import { parseJson, parseUrlencoded } from './text.ts';

/** The content types that are read here. */
export const TEXT_BODY = /^application\/(?:json|x-www-form-urlencoded)\s*(?:;|$)/i;

export function addTextBodies(app: FastifyInstance, rules: BodyRules, maxBytes: number): void {
  const refusal = `a JSON or urlencoded body must fit into ${maxBytes} bytes (--max-field-bytes); send large values as multipart/form-data`;
  const parser =
    (parse: (body: Buffer) => unknown) =>
    async (request: FastifyRequest): Promise<unknown> =>
      parse(await readBody(request, rules, { maxBytes, refusal }));
  app.addContentTypeParser(
    'application/json',
    parser((body) => exactFields(parseJson(body, parseExactly))),
  );
  app.addContentTypeParser('application/x-www-form-urlencoded', parser(fieldsOnce));
}

/** The maximum length of a body, and the message that refuses a longer body. */
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
    // One byte over the limit is enough to know that the body is too long.
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

/** A field whose value JavaScript cannot represent becomes the JSON text that a form would send (rule F6). */
function exactFields(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  const twice = Object.keys(body).flatMap((name) => secondNameIn(name) ?? []);
  if (twice.length > 0) throw givenTwice(twice);
  return Object.fromEntries(Object.entries(body).map(([name, value]) => [name, withoutMarks(value)]));
}

/** An unknown field may come any number of times, because it is ignored (rule C10); its first value is kept. */
function fieldsOnce(body: Buffer): unknown {
  const fields = [...parseUrlencoded(body.toString('latin1'))];
  const twice = fields
    .filter(([name, values]) => values.length > 1 && isEntryField(name))
    .map(([name]) => name);
  if (twice.length > 0) throw givenTwice(twice);
  return Object.fromEntries(fields.map(([name, [value]]) => [name, value]));
}

function givenTwice(names: readonly string[]): AppError {
  return invalidFields(names.map((field) => ({ field, message: 'given twice; send it once' })));
}
