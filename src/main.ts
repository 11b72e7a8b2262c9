// main.ts: runs the command that argv names. Only this file and cli/ touch `process`.
import { printedConfig, readInvocation } from './cli/arguments.ts';
import { demo } from './cli/demo.ts';
import { helpText } from './cli/help.ts';
import { holdServer } from './cli/parent.ts';
import { serve } from './cli/serve.ts';
import { ConfigError } from './config/config.ts';
import { version } from './index.ts';

/** The exit code for arguments that cannot be used; the same for every command (§8). */
const EXIT_USAGE = 2;

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function run(): Promise<void> {
  const invocation = await readInvocation(process.argv.slice(2), process.env);
  if (invocation.wants === 'help') return print(helpText());
  if (invocation.wants === 'version') return print(version);
  if (invocation.wants === 'print-config') return print(printedConfig(invocation));
  if (invocation.command === 'demo') {
    if (Object.values(invocation.sources).includes('flag'))
      throw new ConfigError('demo takes no flags: its server has settings and a folder of its own');
    process.exitCode = await demo(process.stdout);
    return;
  }
  const isParent = invocation.config.restartAfter !== undefined && !invocation.isChild;
  return isParent ? holdServer(invocation) : serve(invocation);
}

/** A reader that closes early (`--help | head -1`) is not an error. Without this listener, Node would throw with a stack. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return;
  process.stderr.write(`xenonflare-mock: standard output could not be written: ${error.message}\n`);
  process.exitCode = 1;
});
process.stderr.on('error', () => undefined); // An error of standard error cannot be reported.

try {
  await run();
} catch (error) {
  const isUsage = error instanceof ConfigError;
  process.stderr.write(
    `xenonflare-mock: ${isUsage ? error.message : String((error as Error).stack ?? error)}\n`,
  );
  process.exitCode = isUsage ? EXIT_USAGE : 1;
}
