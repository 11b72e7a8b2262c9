// rolldown.config.js: the command, and what programs import, each as one file with its libraries in it.
//
// The command, since Node reads some 400 modules when it starts ours and its libraries one by one, which is a third of the
// time until a server is ready (bench/README.md); who tests with it starts it often. What programs import, since the
// libraries must not look up the timers that a test of theirs has faked: under Jest's fake timers no plugin of Fastify
// would ever be loaded, and no server started or closed (src/core/machine-time.ts).
//
// Promises: the same code as the modules beside them in dist/; `index.js` takes the place of the one that tsc wrote.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'rolldown';

const MACHINE_TIME = fileURLToPath(new URL('src/core/machine-time.ts', import.meta.url));

/** What is to be taken from there, by the name it has in the libraries. */
const TIMERS = {
  setTimeout: 'setTimeout',
  clearTimeout: 'clearTimeout',
  setInterval: 'setInterval',
  clearInterval: 'clearInterval',
  setImmediate: 'setImmediate',
  clearImmediate: 'clearImmediate',
  queueMicrotask: 'queueMicrotask',
  'process.nextTick': 'nextTick',
  'performance.now': 'monotonicMs',
  'Date.now': 'wallMs',
};

const inject = Object.fromEntries(
  Object.entries(TIMERS).map(([name, exported]) => [name, [MACHINE_TIME, exported]]),
);

const bundle = (input, name) => ({
  input,
  platform: 'node',
  output: {
    dir: 'dist',
    // Beside the modules, so that what is found by its place (package.json, the contracts) is found from here, too.
    entryFileNames: `${name}.js`,
    chunkFileNames: `${name}-[name].js`,
  },
});

export default defineConfig([
  bundle('src/main.ts', 'command'),
  { ...bundle('src/index.ts', 'index'), transform: { inject } },
]);
