// core/machine-time.ts: the machine's own clocks and timers, as they were when this module was loaded.
//
// A test may run this server in its own process and fake the globals. Jest's fake timers replace `process.nextTick`, `Date`
// and `performance`, too. A server that used the faked globals would stand still with the test's time: it could not start,
// answer or close. Therefore all our modules take clocks and timers from here (lint checks this), and so do the libraries in
// the bundle that programs import (rolldown.config.js).
//
// Promises: `monotonicMs` never jumps and never goes back; use it to measure. `wallMs` is the date and may jump by hours in
// either direction; use it only to date.
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import timers from 'node:timers';

/** From Node's module and by value: the globals may be faked before this module loads, and the module's members later. */
export const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } = timers;

export const nextTick = process.nextTick.bind(process);

export const queueMicrotask = globalThis.queueMicrotask.bind(globalThis);

/** Milliseconds since an arbitrary start. Compare only with other values of this function. */
export const monotonicMs: () => number = performance.now.bind(performance);

// Not written as `Date.now`: the bundler replaces that name by an import of this very module.
const { now } = Date;

/** Milliseconds since 1970-01-01T00:00:00Z by the machine's present date. */
export const wallMs: () => number = now;
