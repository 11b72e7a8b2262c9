// http/connection/request-ids.ts: what a request is called in its answer, in the log and in the journal.
//
// Must not know: what is asked.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { SeededIds } from '../../core/ids.ts';
import { isOfAdminPlane } from '../exchange.ts';

/** A proxy's request id is kept, if it is short and harmless in a log line. With a seed, ours are a repeatable sequence. */
export function createRequestIds(
  seed: string | undefined,
): (request: Pick<IncomingMessage, 'headers' | 'url'>) => string {
  const contractIds = new SeededIds(seed ?? null);
  return ({ headers, url = '' }) => {
    const given = headers['x-request-id'];
    if (typeof given === 'string' && /^[\w.-]{1,64}$/.test(given)) return given;
    // Looking at the admin plane must not change what the contract's exchanges are called.
    if (seed === undefined || isOfAdminPlane(url)) return randomUUID();
    return contractIds.next('requests');
  };
}
