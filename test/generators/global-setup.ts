// global-setup.ts: fetches what the generators need, and prints a sentence for each one that cannot be fetched.
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
  // The two that use Java run one after the other, because Maven's repository can be used by only one process at a time.
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
