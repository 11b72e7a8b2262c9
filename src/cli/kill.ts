// cli/kill.ts: the end of this process, at this very place: nothing is flushed, closed or waited for.
//
// Must not know: why.

/** SIGKILL, which no handler, thread or open file holds up. */
export function killSelf(): never {
  process.kill(process.pid, 'SIGKILL');
  return process.abort(); // The first process of a container cannot be killed by itself.
}
