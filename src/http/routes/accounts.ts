// http/routes/accounts.ts: the connected accounts: channels (a bare object) and profiles (a bare array), as documented.
import type { FastifyInstance } from 'fastify';
import type { Fixtures } from '../../media/accounts.ts';

export async function accountRoutes(
  app: FastifyInstance,
  { fixtures }: { fixtures: Fixtures },
): Promise<void> {
  app.get('/channels', { config: { operationId: 'listChannels' } }, () => Promise.resolve(fixtures.channels));
  app.get('/profiles', { config: { operationId: 'listProfiles' } }, () => Promise.resolve(fixtures.profiles));
}
