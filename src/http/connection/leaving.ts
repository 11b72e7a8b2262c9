// http/connection/leaving.ts: ends an endless answer when its client sends FIN.
//
// A client that sends FIN behind a complete request may have left, or may still wait for the answer (RFC 9112 §9.6). An ordinary
// answer is sent in both cases. An answer without an end must stop, because it would otherwise run for ever.
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
