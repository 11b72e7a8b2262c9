// http/connection/leaving.ts: a client that sends FIN behind a whole request may still wait for the answer (RFC 9112 §9.6), or be gone.
//
// An answer that is under way is sent to it, whichever it is. What may take for ever must not wait to find out.
// Must not know: what the exchange is about.
import type { ServerResponse } from 'node:http';

/** To be called for an answer that has no end of its own: a FIN of the client ends it. */
export function endWithClient(response: ServerResponse): void {
  const { socket } = response;
  if (socket === null) return;
  const leave = (): void => void socket.destroy();
  if (socket.readableEnded) return leave();
  socket.once('end', leave);
  response.once('close', () => socket.off('end', leave));
}
