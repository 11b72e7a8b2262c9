// admin/control-routes.ts: rules, state and reset over HTTP (behaviour §9-§11).
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { endWithClient } from '../http/connection/leaving.ts';
import { parseRuleWait } from '../control/rule-waits.ts';
import { invalidFields } from '../core/errors.ts';
import { RESET_SCOPES, type NamespaceCommands } from '../control/namespace-commands.ts';
import { bodyOf, choiceIn, onlyOne, type NamespaceOf } from './query.ts';

export interface ControlRoutesOptions {
  readonly controls: NamespaceCommands;
  readonly namespaceOf: NamespaceOf;
}

/** A state with bytes is large. All other bodies are small. */
const MAX_STATE_BYTES = 256 * 1024 * 1024;

const resetSchema = z.strictObject({ scope: z.array(z.enum(RESET_SCOPES)).min(1).optional() });

export async function controlRoutes(app: FastifyInstance, options: ControlRoutesOptions): Promise<void> {
  const { controls, namespaceOf } = options;
  app.get('/rules', async (request) => ({ rules: controls.rules(namespaceOf(request)) }));
  app.put('/rules', async (request) => ({
    rules: controls.replaceRules(namespaceOf(request), request.body),
  }));
  app.post('/rules', async (request, reply) => {
    const rules = controls.addRules(namespaceOf(request), request.body);
    reply.code(201);
    return { rules };
  });
  app.delete('/rules', async (request) => {
    controls.clearRules(namespaceOf(request));
    return { deleted: true };
  });
  app.get('/rules/:id', async (request) => controls.rule(namespaceOf(request), idOf(request)));
  app.delete('/rules/:id', async (request) => {
    controls.removeRule(namespaceOf(request), idOf(request));
    return { deleted: true };
  });
  app.post('/rules/:id/wait', async (request, reply) => {
    const wait = parseRuleWait(bodyOf(request));
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    endWithClient(reply.raw);
    const waiting = controls.waitForRule(namespaceOf(request), idOf(request), {
      ...wait,
      signal: gone.signal,
    });
    const { rule, reason: message, hints } = await waiting;
    if (message === null) return rule;
    reply.code(408);
    return { timedOut: true, message, ...(hints.length > 0 && { hints }), rule };
  });
  app.get('/state', async (request) => {
    const isWithBytes = choiceIn(request, 'bytes', ['base64']) !== undefined;
    return controls.states.export(onlyOne(namespaceOf(request)), isWithBytes);
  });
  app.put('/state', { bodyLimit: MAX_STATE_BYTES }, async (request) =>
    controls.states.import(onlyOne(namespaceOf(request)), request.body),
  );
  app.post('/reset', async (request) => {
    const parsed = resetSchema.safeParse(bodyOf(request));
    if (!parsed.success) throw badScope(z.prettifyError(parsed.error));
    return { reset: await controls.reset(namespaceOf(request), parsed.data.scope) };
  });
}

function idOf(request: FastifyRequest): string {
  return (request.params as { id: string }).id;
}

function badScope(why: string): Error {
  const message = `expected {} or {"scope": [some of ${RESET_SCOPES.join(', ')}]}: ${why}`;
  return invalidFields([{ field: 'scope', message }]);
}
