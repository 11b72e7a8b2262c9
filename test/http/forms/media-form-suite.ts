// media-form-suite.ts: compares forms as the media routes read them, with @fastify/multipart, with the reader of the chunk path.
//
// Promises: for every generated body, whole or damaged and however it is cut into pieces, both readers find the same parts with the
// same bytes, or the media form is refused. What the chunk path's reader refuses is refused here, too. So a broken form, or one
// that the library would skip over, never looks like a whole form. REFUSED_READINGS lists the readable forms that are refused all
// the same.
import { Readable } from 'node:stream';
import multipart from '@fastify/multipart';
import fc from 'fast-check';
import fastify, { type FastifyInstance } from 'fastify';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../../src/core/errors.ts';
import { FeedBudget } from '../../../src/http/connection/body-feed.ts';
import { openForm } from '../../../src/http/exchange.ts';
import { partsOf } from '../../../src/http/forms/media-form.ts';
import { SEED } from '../../helpers/seed.ts';
import {
  anatomyOf,
  anyCase,
  bytesOf,
  cutsEvery,
  cutsIn,
  exampleOf,
  formOf,
  isSame,
  KNOWN_READINGS,
  KNOWN_REFUSALS,
  LIMITS,
  named,
  partText,
  piecesOf,
  read,
  SMALL,
  unfold,
  WHOLE,
  type Form,
  type Part,
  type Reading,
} from './multipart-fuzz-suite.ts';

/** The chunk path reads these. Busboy loses a part of them, so a media form is refused. */
const REFUSED_READINGS: readonly string[] = [
  'padding after a delimiter is no part of the headers',
  'a part whose empty line is also the CRLF of the next delimiter is empty',
  'a line that is no header hides those after it from Busboy only',
];

/** Reads a form as the media routes do. */
type Read = (form: Form, cuts: readonly number[]) => Promise<Reading>;

async function openReader(): Promise<Read> {
  const app = fastify();
  await app.register(multipart);
  let limits = LIMITS;
  addRoute(app, () => limits);
  return async (form, cuts) => {
    ({ limits } = form);
    const pieces = piecesOf(bytesOf(form.body), cuts).filter(({ length }) => length > 0);
    const headers = { 'content-type': form.contentType };
    const payload = Readable.from(pieces, { objectMode: false });
    const answer = await app.inject({ method: 'POST', url: '/', headers, payload });
    expect(answer.statusCode, `${answer.payload} of ${JSON.stringify(form)}`).toBe(200);
    const { parts } = answer.json<{ parts: Reading }>();
    if (parts === 'refused') return parts;
    return parts.map(({ name, filename, bytes }) => ({ name, filename, bytes }));
  };
}

function addRoute(app: FastifyInstance, limitsNow: () => Form['limits']): void {
  const rules = { idleMs: 10_000, budget: new FeedBudget(4 * 1024 * 1024) };
  app.post('/', async (request): Promise<{ parts: Reading }> => {
    const body = openForm(request, rules);
    const parts: Part[] = [];
    try {
      for await (const { head, bytes } of partsOf(request, body, limitsNow())) {
        const pieces: Buffer[] = [];
        for await (const piece of bytes) pieces.push(piece);
        parts.push({
          name: head.name,
          filename: head.filename,
          bytes: Buffer.concat(pieces).toString('latin1'),
        });
      }
      return { parts };
    } catch (error) {
      if (error instanceof AppError && error.code === 'malformed_multipart') return { parts: 'refused' };
      throw error;
    } finally {
      body.feed.close();
    }
  });
}

/**
 * The library drops the line ends of folded lines and everything after a line that is not a header. It is compared without them.
 */
function isMeasuredShort({ body, limits }: Form): boolean {
  return limits === SMALL && /\r\n[ \t]|\r\n[^:]*\r\n/.test(body);
}

/**
 * A bare CR or LF in a folded line: for the chunk path's reader the whole line is not a header; for the library, the lines before
 * it are one.
 */
function withGuesses(theirs: readonly Part[], ours: readonly Part[], form: Form): readonly Part[] {
  const { segments } = anatomyOf(form);
  return theirs.map(({ bytes, ...names }, i) => {
    const isGuessed = partText(segments[i] ?? '').headers.some((line) => /[\r\n]/.test(unfold(line)));
    const { name, filename } = (isGuessed ? ours[i] : undefined) ?? names;
    return { name, filename, bytes };
  });
}

/** So many generated bodies. */
export function mediaFormsAsChunkForms(runs: number): void {
  it(
    `${runs} bodies, however cut, have the parts that the chunk path's reader finds, or are refused (TEST_SEED=${SEED})`,
    { timeout: 300_000 + runs * 4 },
    async () => {
      const readMedia = await openReader();
      const seen = { same: 0, 'both refuse': 0, 'refused here only': 0 };
      await fc.assert(
        fc.asyncProperty(anyCase, async ({ plan, splits: [numbers] }) => {
          const form = formOf(plan);
          const ours = read(form, WHOLE);
          const theirs = await readMedia(form, cutsIn(form, numbers));
          if (ours === 'refused') {
            if (theirs !== 'refused' && !isMeasuredShort(form))
              expect(theirs, JSON.stringify(form)).toBe('refused');
            seen['both refuse'] += 1;
          } else if (theirs === 'refused') seen['refused here only'] += 1;
          else {
            const found = withGuesses(theirs, ours, form);
            if (!isSame(found, ours)) expect(found, JSON.stringify(form)).toEqual(ours);
            seen.same += 1;
          }
        }),
        { seed: SEED, numRuns: runs },
      );
      console.info('media-form:', seen);
      // A reader that refuses everything would also pass without this.
      expect(seen.same).toBeGreaterThan(runs / 3);
      expect(seen['refused here only']).toBeLessThan(runs / 4);
    },
  );
}

/** What is made of bodies that were written by hand. */
export function mediaFormExamples(): void {
  describe('what the chunk path refuses is refused in a media form', () => {
    it.each(named(KNOWN_REFUSALS))('%s, because %s', async (_name, _because, { example }) => {
      const form = exampleOf(example, SMALL);
      const readMedia = await openReader();
      expect(await readMedia(form, WHOLE)).toBe('refused');
      expect(await readMedia(form, cutsEvery(1, form))).toBe('refused');
    });
  });

  describe('what the chunk path reads in its own way is read so in a media form, or refused', () => {
    it.each(named(KNOWN_READINGS))('%s, because %s', async (name, _because, { example, ours }) => {
      const form = exampleOf(example, LIMITS);
      const readMedia = await openReader();
      const expected = REFUSED_READINGS.includes(name) ? 'refused' : ours;
      expect(await readMedia(form, WHOLE)).toEqual(expected);
      expect(await readMedia(form, cutsEvery(1, form))).toEqual(expected);
    });
  });
}

export { openReader };
