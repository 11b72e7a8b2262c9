// admin/clock-routes.ts: a namespace's clock over HTTP: freeze, set, advance (behaviour §9, §11).
//
// Promises: everything that became due is done before the answer.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { ClockChange } from '../core/clock.ts';
import { invalidFields } from '../core/errors.ts';
import type { NamespaceCommands } from '../control/namespace-commands.ts';
import { bodyOf, type NamespaceOf } from './query.ts';

interface ClockRoutesOptions {
  readonly controls: NamespaceCommands;
  readonly namespaceOf: NamespaceOf;
}

const changeSchema = z
  .strictObject({
    mode: z.enum(['real', 'frozen', 'offset']).optional(),
    now: z.iso
      .datetime({ offset: true, error: 'expected an ISO 8601 date-time with Z or an offset' })
      .transform((text) => Date.parse(text))
      .optional(),
    advanceMs: z.int().min(0).optional(),
  })
  .refine(({ mode, now, advanceMs }) => mode !== 'real' || (now ?? advanceMs) === undefined, {
    path: ['mode'],
    message:
      'mode "real" is the time of the machine and cannot be set or advanced; use mode "offset" or "frozen", or omit mode',
  });

export async function clockRoutes(
  app: FastifyInstance,
  { controls, namespaceOf }: ClockRoutesOptions,
): Promise<void> {
  app.get('/clock', async (request) => controls.clock(namespaceOf(request)));
  app.put('/clock', async (request) => {
    const namespace = namespaceOf(request);
    const settled = await controls.changeClock(namespace, parseClockChange(bodyOf(request)));
    return { ...controls.clock(namespace), settled };
  });
}

/** @throws AppError `invalid_request` */
function parseClockChange(value: unknown): ClockChange {
  const parsed = changeSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalidFields(
    parsed.error.issues.map(({ path, message }) => ({ field: path.join('.') || 'body', message })),
  );
}
