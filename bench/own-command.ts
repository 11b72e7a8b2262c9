// bench/own-command.ts: finds the file that Node runs for `npx xenonflare-mock`, as package.json names it.
import { readFileSync } from 'node:fs';
import { inRepository } from './root.ts';

export function ownCommand(): string {
  const { bin } = JSON.parse(readFileSync(inRepository('package.json'), 'utf8')) as {
    bin: { 'xenonflare-mock': string };
  };
  return inRepository(bin['xenonflare-mock']);
}
