// core/machine-time.ts: the machine's own clocks and timers, as they were when this module was loaded.
//
// Tests that use this server in their own process fake the globals: Jest's fake timers take `process.nextTick`, `Date` and
// `performance`, too. A server that looked them up when it needs them would stand still with the test's time, and neither
// start, answer nor close. So every module of ours takes them from here (lint), and so do the libraries in the bundle that
// programs import (rolldown.config.js).
//
// Promises: `monotonicMs` never jumps and never goes back: everything that measures uses it. `wallMs` is the date, and may jump by
// hours in either direction: everything that dates uses it.
// Must not know: what is measured. It is a leaf.
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import timers from 'node:timers';

/** Node's own module, not the globals: those may be faked before this is loaded. By value: its members may be replaced, too. */
export const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } = timers;

export const nextTick = process.nextTick.bind(process);

export const queueMicrotask = globalThis.queueMicrotask.bind(globalThis);

/** Milliseconds since some instant: to be compared with its like only. */
export const monotonicMs: () => number = performance.now.bind(performance);

// Not by its full name: in the bundle that would be taken from here.
const { now } = Date;

/** Milliseconds since 1970-01-01T00:00:00Z, as the machine has it right now. */
export const wallMs: () => number = now;
