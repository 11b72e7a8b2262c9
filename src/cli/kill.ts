// cli/kill.ts: ends this process at this very point: nothing is flushed, closed or waited for.

/** Sends SIGKILL, which no handler, thread or open file can delay. */
export function killSelf(): never {
  process.kill(process.pid, 'SIGKILL');
  return process.abort(); // The first process of a container cannot kill itself with a signal.
}
