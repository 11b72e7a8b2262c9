#!/usr/bin/env node
// cli/launch.cts: the first file of the command. It is not an ES module, because Node reads ES modules with the same threads
// whose number is set here.
//
// Syncing takes most of the time with `--durability fsync`. A filesystem commits the syncs of many waiting threads together:
// with 16 threads instead of Node's 4, sixteen connections store a third more small chunks (bench/README.md).
process.env['UV_THREADPOOL_SIZE'] ??= '16';

/** main.ts and all its imports in one file, which the build makes (rolldown.config.js). */
const COMMAND: string = '../command.js';
void import(COMMAND);
