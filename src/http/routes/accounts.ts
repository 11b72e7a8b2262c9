// http/routes/accounts.ts: answers the connected accounts as documented: channels as a bare object, profiles as a bare array.
import type { FastifyInstance } from 'fastify';
import type { Fixtures } from '../../media/accounts.ts';

export async function accountRoutes(
  app: FastifyInstance,
  { fixtures }: { fixtures: Fixtures },
): Promise<void> {
  app.get('/channels', { config: { operationId: 'listChannels' } }, () => Promise.resolve(fixtures.channels));
  app.get('/profiles', { config: { operationId: 'listProfiles' } }, () => Promise.resolve(fixtures.profiles));
}
