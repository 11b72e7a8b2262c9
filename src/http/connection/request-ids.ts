// http/connection/request-ids.ts: chooses the id by which a request is named in its answer, in the log and in the journal.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { SeededIds } from '../../core/ids.ts';
import { isOfAdminPlane } from '../exchange.ts';

/**
 * Keeps the request id of a proxy if it is short and safe in a log line. With a seed, the generated ids are a repeatable
 * sequence.
 */
export function createRequestIds(
  seed: string | undefined,
): (request: Pick<IncomingMessage, 'headers' | 'url'>) => string {
  const contractIds = new SeededIds(seed ?? null);
  return ({ headers, url = '' }) => {
    const given = headers['x-request-id'];
    if (typeof given === 'string' && /^[\w.-]{1,64}$/.test(given)) return given;
    // Requests to the admin plane must not change the ids of contract requests.
    if (seed === undefined || isOfAdminPlane(url)) return randomUUID();
    return contractIds.next('requests');
  };
}
