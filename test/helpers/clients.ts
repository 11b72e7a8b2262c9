// helpers/clients.ts: real clients. Each sends one chunk and says in one line what happened.
//
// Promises: the line is `503, 200 bytes` for an answer, `200, then <error>` for an answer that broke off, `<error>` when there was
// none. The error is what a program would look at: a code, an exit status, the name of an exception. No client retries on purpose.
import { execFile, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { temporaryFolder } from './app.ts';
import { chunkParts, formOf } from './multipart.ts';

export interface Sending {
  readonly url: string;
  readonly key: string;
  readonly fileId: string;
  readonly bytes: Buffer;
  /** A status query is sent first, on the same connection. */
  readonly isReused: boolean;
}

export interface Client {
  readonly name: 'fetch' | 'node:http' | 'curl' | 'Python';
  readonly isThere: boolean;
  send(sending: Sending): Promise<string>;
}

const TIMEOUT_MS = 60_000;

function isThere(command: string): boolean {
  return spawnSync(command, ['--version']).status === 0;
}

function formFor({ fileId, bytes }: Sending): { contentType: string; body: Buffer } {
  return formOf(chunkParts({ fileId, chunkIndex: 0, totalChunks: 1, bytes }));
}

function queryOf({ url, fileId }: Sending): string {
  return `${url}/media/chunks?fileId=${fileId}`;
}

/** What a program finds in the error. fetch hides it in `cause`. */
function codeOf(error: unknown): string {
  const { cause, code, name } = error as Error & { code?: string };
  return cause === undefined ? (code ?? name) : codeOf(cause);
}

async function byFetch(sending: Sending): Promise<string> {
  const headers = { 'x-api-key': sending.key };
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  if (sending.isReused) {
    await (await fetch(queryOf(sending), { headers, signal })).text();
    // The pool gets the connection back one turn of the event loop later.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { contentType, body } = formFor(sending);
  const init = { method: 'POST', headers: { ...headers, 'content-type': contentType }, body, signal };
  const answer = await fetch(`${sending.url}/media/chunks`, init).catch(codeOf);
  if (typeof answer === 'string') return answer;
  const content = await answer.arrayBuffer().catch(codeOf);
  return shown(answer.status, typeof content === 'string' ? content : content.byteLength);
}

function shown(status: number, content: string | number): string {
  return typeof content === 'string' ? `${status}, then ${content}` : `${status}, ${content} bytes`;
}

async function byNode(sending: Sending): Promise<string> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const headers = { 'x-api-key': sending.key };
  const timeout = TIMEOUT_MS;
  try {
    if (sending.isReused) await metBy(request(queryOf(sending), { agent, headers, timeout }).end());
    const { contentType, body } = formFor(sending);
    const lengths = { 'content-type': contentType, 'content-length': body.length };
    const sent = request(`${sending.url}/media/chunks`, {
      agent,
      method: 'POST',
      headers: { ...headers, ...lengths },
      timeout,
    });
    return await metBy(sent.end(body));
  } finally {
    agent.destroy();
  }
}

function metBy(sent: ClientRequest): Promise<string> {
  return new Promise((resolve) => {
    sent.on('error', (error) => resolve(codeOf(error)));
    sent.on('timeout', () => sent.destroy(new Error('timeout')));
    sent.on('response', (answer: IncomingMessage) => {
      let bytes = 0;
      answer
        .on('data', (piece: Buffer) => (bytes += piece.length))
        .on('end', () => resolve(shown(answer.statusCode ?? 0, bytes)))
        .on('error', (error) => resolve(shown(answer.statusCode ?? 0, codeOf(error))));
    });
  });
}

/** The exit status of curl, and what it says about the last answer. */
async function byCurl(sending: Sending): Promise<string> {
  const file = join(await temporaryFolder(), randomUUID());
  await writeFile(file, sending.bytes);
  const common = ['-sS', '-o', '/dev/null', '-H', `X-API-Key: ${sending.key}`];
  const form = [`file=@${file}`, 'chunkIndex=0', 'totalChunks=1', `fileId=${sending.fileId}`];
  const args = [
    ...(sending.isReused ? [...common, queryOf(sending), '--next'] : []),
    ...common,
    // Without `Expect: 100-continue` curl begins to send the body at once.
    '-H',
    'Expect:',
    '-w',
    '%{http_code} %{size_download}',
    ...form.flatMap((field) => ['-F', field]),
    `${sending.url}/media/chunks`,
  ];
  const { code, stdout } = await run('curl', args);
  const [status = '000', bytes = ''] = stdout.split(' ');
  if (code === 0) return shown(Number(status), Number(bytes));
  return status === '000' ? `exit ${code}` : shown(Number(status), `exit ${code}`);
}

const PYTHON = `
import http.client, sys, urllib.parse
url, key, file_id, content_type, path, is_reused = sys.argv[1:]
where = urllib.parse.urlparse(url)
connection = http.client.HTTPConnection(where.hostname, where.port, timeout=15)
if is_reused == 'true':
    connection.request('GET', '/media/chunks?fileId=' + file_id, headers={'X-API-Key': key})
    connection.getresponse().read()
answer = None
try:
    with open(path, 'rb') as body:
        connection.request('POST', '/media/chunks', body.read(), {'X-API-Key': key, 'Content-Type': content_type})
    answer = connection.getresponse()
    print('%d, %d bytes' % (answer.status, len(answer.read())))
except Exception as error:
    name = type(error).__name__
    print(name if answer is None else '%d, then %s' % (answer.status, name))
`;

async function byPython(sending: Sending): Promise<string> {
  const { contentType, body } = formFor(sending);
  const file = join(await temporaryFolder(), randomUUID());
  await writeFile(file, body);
  const { url, key, fileId, isReused } = sending;
  const args = ['-c', PYTHON, url, key, fileId, contentType, file, String(isReused)];
  const { code, stdout, stderr } = await run('python3', args);
  return code === 0 ? stdout.trim() : `exit ${code}: ${stderr}`;
}

function run(
  command: string,
  args: readonly string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(command, [...args], { timeout: TIMEOUT_MS }, (error, stdout, stderr) => {
      resolve({
        code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1,
        stdout,
        stderr,
      });
    });
  });
}

export const CLIENTS: readonly Client[] = [
  { name: 'fetch', isThere: true, send: byFetch },
  { name: 'node:http', isThere: true, send: byNode },
  { name: 'curl', isThere: isThere('curl'), send: byCurl },
  { name: 'Python', isThere: isThere('python3'), send: byPython },
];
