// helpers/leaks.ts: counts what this process holds open, so that a test can check that nothing was left behind.
import { readdirSync } from 'node:fs';
import { eventually } from './app.ts';

export interface Held {
  readonly sockets: number;
  /** Handles that keep the process alive. */
  readonly timers: number;
  /** 0 where the system does not tell. */
  readonly descriptors: number;
}

export function held(): Held {
  const resources = process.getActiveResourcesInfo();
  return {
    sockets: resources.filter((name) => name === 'TCPSocketWrap').length,
    timers: resources.filter((name) => name === 'Timeout').length,
    descriptors: descriptors(),
  };
}

function descriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}

/** Resolves as soon as no more is held than before; fails when that takes too long. */
export async function released(before: Held): Promise<void> {
  const names = ['sockets', 'timers', 'descriptors'] as const;
  await eventually(held, (now) => names.every((name) => now[name] <= before[name]));
}
