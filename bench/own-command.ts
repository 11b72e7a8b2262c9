// bench/own-command.ts: the file that Node runs for `npx xenonflare-mock`, as package.json has it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export function ownCommand(): string {
  const manifest = new URL('../package.json', import.meta.url);
  const { bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { bin: { 'xenonflare-mock': string } };
  return fileURLToPath(new URL(bin['xenonflare-mock'], manifest));
}
