// admin/clock-routes.ts: a namespace's clock over HTTP: freeze, set, advance (behaviour §9, §11).
//
// Promises: everything that became due is done before the answer.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ClockChange, ClockView } from '../clock.ts';
import { AppError } from '../errors.ts';

/** What moving the clock brought about. */
export interface Settled {
  readonly uploadsExpired: number;
  /** Entries whose status is another than before. */
  readonly entriesChanged: number;
  readonly lateCommits: number;
}

export interface ClockRoutesOptions {
  readonly clockOf: (namespace: string) => ClockView;
  readonly changeClock: (namespace: string, change: ClockChange) => Promise<Settled>;
  readonly namespaceOf: (request: FastifyRequest) => string;
}

const changeSchema = z.strictObject({
  mode: z.enum(['real', 'frozen', 'offset']).optional(),
  now: z.iso
    .datetime({ offset: true, error: 'expected an ISO 8601 date-time with Z or an offset' })
    .transform((text) => Date.parse(text))
    .optional(),
  advanceMs: z.int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
});

export async function clockRoutes(app: FastifyInstance, options: ClockRoutesOptions): Promise<void> {
  const { clockOf, changeClock, namespaceOf } = options;
  app.get('/__admin/clock', async (request) => clockOf(namespaceOf(request)));
  app.put('/__admin/clock', async (request) => {
    const namespace = namespaceOf(request);
    const settled = await changeClock(namespace, parseClockChange(request.body));
    return { ...clockOf(namespace), settled };
  });
}

/** @throws AppError `invalid_request` */
function parseClockChange(value: unknown): ClockChange {
  const parsed = changeSchema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map(({ path, message }) => ({
    field: path.join('.') || 'body',
    message,
  }));
  throw new AppError(
    'invalid_request',
    fields.map(({ field, message }) => `${field}: ${message}`).join('; '),
    { fields },
  );
}
