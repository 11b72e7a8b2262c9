// global-setup.ts: fetches what the generators need, and says a sentence for each that cannot be had.
import { mkdir } from 'node:fs/promises';
import type { TestProject } from 'vitest/node';
import { fetchTool, HOME, type Tool } from './toolbox.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** By tool: null, or what is missing. */
    readonly missing: Readonly<Record<Tool, string | null>>;
  }
}

const TOOLS: readonly Tool[] = ['npm', 'python', 'openapi-generator', 'java', 'go'];

export default async function setup(project: TestProject): Promise<void> {
  await mkdir(HOME, { recursive: true });
  // Java's two wait for each other: Maven's repository takes one at a time.
  const maven = fetchTool('openapi-generator').then(
    async (first) => [first, await fetchTool('java')] as const,
  );
  const [npm, python, go, [generator, java]] = await Promise.all([
    fetchTool('npm'),
    fetchTool('python'),
    fetchTool('go'),
    maven,
  ]);
  const missing = { npm, python, go, java, 'openapi-generator': generator };
  for (const tool of TOOLS) if (missing[tool] !== null) console.warn(`SKIPPED, what needs ${missing[tool]}`);
  project.provide('missing', missing);
}
