#!/usr/bin/env node
// cli/launch.cts: the first file of the command. Not an ES module, because those are read by the very threads whose number is
// set here.
//
// Syncing is what takes long in `--durability fsync`, and a filesystem commits what many threads wait for together: with
// 16 threads instead of Node's 4, sixteen connections store a third more small chunks (bench/README.md).
process.env['UV_THREADPOOL_SIZE'] ??= '16';

/** main.ts and all that it imports, in one file that the build makes (rolldown.config.js). */
const COMMAND: string = '../command.js';
void import(COMMAND);
