// docs.browser.ts: the pages of the contracts in a browser, without a network. They show everything under their content security
// policy, and requests that are tried out there are sent with the key and the token that were typed.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect, it, onTestFinished } from 'vitest';
import { startProcess, type ServerProcess } from '../helpers/process.ts';
import { useBrowser } from './chromium.ts';

const browser = useBrowser();

interface Opened {
  readonly page: Page;
  /** The errors that the browser reported, and the requests to other servers. */
  readonly wrong: readonly string[];
}

async function open(
  server: Pick<ServerProcess, 'url' | 'adminUrl'>,
  path: string,
  look: { readonly width?: number; readonly colorScheme?: 'light' | 'dark' } = {},
): Promise<Opened> {
  const { width = 1280, colorScheme = 'light' } = look;
  const context = await browser().newContext({ viewport: { width, height: 900 }, colorScheme });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const wrong: string[] = [];
  page.on('console', (message) => {
    // A refusal that the test wants is reported there, too.
    if (message.type() === 'error' && !message.text().includes('status of 4')) wrong.push(message.text());
  });
  page.on('pageerror', (error) => wrong.push(error.message));
  page.on('request', (request) => {
    const url = request.url();
    if (![server.url, server.adminUrl, 'data:', 'blob:'].some((own) => url.startsWith(own))) wrong.push(url);
  });
  await page.goto(`${server.adminUrl}/${path}`);
  await page.locator('.opblock').first().waitFor();
  return { page, wrong };
}

/** Opens an operation to be tried out. */
async function tryOut(page: Page, operationId: string): Promise<ReturnType<Page['locator']>> {
  const operation = page.locator(`.opblock[id$="-${operationId}"]`);
  await operation.locator('.opblock-summary-control').click();
  await operation.getByRole('button', { name: 'Try it out' }).click();
  return operation;
}

/** Types it into the field of each of these security schemes of the contract. */
async function authorize(page: Page, secrets: Readonly<Record<string, string>>): Promise<void> {
  await page.locator('.btn.authorize').click();
  for (const [name, secret] of Object.entries(secrets)) {
    const way = page.locator('.auth-container').filter({ hasText: name });
    await way.locator('input').fill(secret);
    await way.getByRole('button', { name: 'Apply credentials' }).click();
  }
  await page.locator('.modal-ux .btn-done').first().click();
}

/** The earlier answer is cleared first. It would be read until the new one is shown. */
async function answerOf(operation: ReturnType<Page['locator']>): Promise<[string, string]> {
  const clear = operation.getByRole('button', { name: 'Clear' });
  if (await clear.isVisible()) await clear.click();
  await operation.getByRole('button', { name: 'Execute' }).click();
  const answer = operation.locator('.live-responses-table .response');
  const status = await answer.locator('.response-col_status').innerText();
  return [status.trim().slice(0, 3), await answer.locator('.response-col_description').innerText()];
}

it.each([
  ['docs', 1280, 'light'],
  ['docs', 390, 'dark'],
  ['docs-admin', 390, 'light'],
] as const)('%s is whole at %d px, %s, and no wider than the screen', async (path, width, colorScheme) => {
  const server = await startProcess(['--storage', 'memory']);
  const { page, wrong } = await open(server, path, { width, colorScheme });
  await page.locator('.opblock .opblock-summary-control').nth(1).click();
  await page.locator('.opblock.is-open .responses-wrapper').waitFor();
  const [ink, paper, wide] = await page.evaluate<[string, string, number]>(`[
    getComputedStyle(document.querySelector('.info p')).color,
    getComputedStyle(document.documentElement).backgroundColor,
    document.documentElement.scrollWidth,
  ]`);
  const brightness = (color: string): number => Number(/\d+/.exec(color)?.[0]);
  expect(brightness(ink) > 128).toBe(colorScheme === 'dark');
  if (colorScheme === 'dark') expect(brightness(paper)).toBeLessThan(60);
  expect(wide).toBe(width);
  if (path === 'docs') {
    expect(await page.locator('.opblock.is-open mark').first().innerText()).toBe('assumed');
    expect(await page.locator('.opblock.is-open').innerText()).toContain(
      'The vendor does not describe repeated chunks',
    );
  }
  expect(wrong).toEqual([]);
});

it('a chunk is uploaded from the page with the key that was typed', async () => {
  const server = await startProcess(['--storage', 'memory', '--api-keys', 'typed']);
  const folder = await mkdtemp(join(tmpdir(), 'xenonflare-page-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'chunk.bin');
  await writeFile(file, 'content');
  const { page, wrong } = await open(server, 'docs');
  const operation = await tryOut(page, 'uploadChunk');
  await operation.locator('input[type=file]').setInputFiles(file);
  for (const [name, value] of Object.entries({ chunkIndex: '0', totalChunks: '1', fileId: 'from-the-page' }))
    await operation.locator(`[data-property-name="${name}"] input`).fill(value);
  const [refused, why] = await answerOf(operation);
  expect([refused, why]).toEqual(['401', expect.stringContaining('api_key_missing')]);
  await authorize(page, { 'X-API-Key': 'typed' });
  const [status, body] = await answerOf(operation);
  expect([status, body]).toEqual(['200', expect.stringContaining('Upload complete')]);
  const stored = await fetch(`${server.adminUrl}/uploads/from-the-page`, {
    headers: { 'X-API-Key': 'typed' },
  });
  expect(await stored.json()).toMatchObject({ receivedBytes: 7, completed: true });
  expect(wrong).toEqual([]);
});

it('the plane is asked with the token and the key that were typed', async () => {
  const server = await startProcess(['--storage', 'memory', '--admin-token', 'secret']);
  const { page, wrong } = await open(server, 'docs-admin');
  const operation = await tryOut(page, 'listUploads');
  expect((await answerOf(operation))[0]).toBe('401');
  await authorize(page, { AdminToken: 'secret', 'X-API-Key': 'k' });
  const asked = page.waitForRequest((request) => request.url().includes('/__admin/uploads'));
  const [status] = await answerOf(operation);
  const headers = await (await asked).allHeaders();
  expect([status, headers['authorization'], headers['x-api-key']]).toEqual(['200', 'Bearer secret', 'k']);
  expect(wrong).toEqual([]);
});

it('what is tried out goes to the port of the contract, where the plane has one of its own', async () => {
  const server = await startProcess(['--storage', 'memory', '--admin-port', '0']);
  const { page, wrong } = await open(server, 'docs');
  const operation = await tryOut(page, 'getUploadStatus');
  expect(new URL(server.url).port).not.toBe(new URL(server.adminUrl).port);
  await authorize(page, { 'X-API-Key': 'k' });
  const asked = page.waitForRequest((request) => request.url().startsWith(`${server.url}/media/chunks`));
  const [status] = await answerOf(operation);
  expect([status, (await asked).method()]).toEqual(['200', 'GET']);
  expect(wrong).toEqual([]);
});
