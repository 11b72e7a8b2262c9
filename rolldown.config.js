// rolldown.config.js: the command as one file. Node reads some 400 modules when it starts ours and its libraries one by
// one, which is a third of the time until a server is ready (bench/README.md); who tests with it starts it often.
//
// Promises: the same code as the modules beside it in dist/, which programs import (`exports` of package.json).
import { defineConfig } from 'rolldown';

export default defineConfig({
  input: 'dist/main.js',
  platform: 'node',
  output: {
    dir: 'dist',
    // Beside the modules, so that what is found by its place (package.json, the contracts) is found from here, too.
    entryFileNames: 'command.js',
    chunkFileNames: 'command-[name].js',
  },
});
