// system/descriptors.test.ts: a server with few descriptors continues to work, and a server that was stopped blames no client
// (rules D8, C12).
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import {
  cachedFilesWithin,
  descriptorLimitIn,
  onNoDescriptors,
  opening,
} from '../../src/storage/disk/descriptors.ts';
import { temporaryFolder } from '../helpers/app.ts';

const MAIN = fileURLToPath(new URL('../../dist/cli/launch.cjs', import.meta.url));

type Child = ChildProcessByStdio<null, Readable, null>;
const running: Child[] = [];
afterEach(async () => {
  for (const child of running.splice(0)) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
  }
});

/** `limit`: how many descriptors it may have. */
async function start(flags: readonly string[], limit = 1024): Promise<{ url: string; child: Child }> {
  const command = `ulimit -n ${limit}; exec "$@"`;
  const argv = ['-c', command, 'sh', process.execPath, MAIN, 'serve', '--port', '0', ...flags];
  const child = spawn('sh', argv, { stdio: ['ignore', 'pipe', 'ignore'] });
  running.push(child);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { url: (JSON.parse(String(line)) as { url: string }).url, child };
}

function chunkOf(fileId: string, chunkIndex: number): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries({ fileId, chunkIndex: String(chunkIndex), totalChunks: '2' }))
    form.set(name, value);
  form.set('file', new Blob([`chunk ${chunkIndex} of ${fileId}`]));
  return form;
}

const send = async (url: string, fileId: string, index: number): Promise<number> =>
  (await fetch(`${url}/media/chunks`, { method: 'POST', body: chunkOf(fileId, index) })).status;

/** Uses the connection that the agent keeps. */
async function sendOver(agent: Agent, url: string, fileId: string): Promise<number> {
  const { headers, body } = await encoded(chunkOf(fileId, 0));
  const sent = request(`${url}/media/chunks`, { agent, method: 'POST', headers }).end(body);
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  await once(answer.resume(), 'end');
  return answer.statusCode ?? 0;
}

async function encoded(form: FormData): Promise<{ headers: Record<string, string>; body: Buffer }> {
  const whole = new Response(form);
  const body = Buffer.from(await whole.arrayBuffer());
  const type = whole.headers.get('content-type') ?? '';
  return { headers: { 'content-type': type, 'content-length': String(body.length) }, body };
}

describe.skipIf(process.platform !== 'linux')('a server with 128 descriptors', () => {
  it('acknowledges each of 200 uploads that stay open, and goes on with every one (D8)', async () => {
    const folder = await temporaryFolder();
    const { url } = await start(['--data-dir', folder, '--durability', 'none'], 128);
    const answers: number[] = [];
    for (const index of [0, 1])
      for (let i = 0; i < 200; i += 1) answers.push(await send(url, `upload ${i}`, index));
    expect(new Set(answers)).toEqual(new Set([200]));
  });
});

describe.skipIf(process.platform !== 'linux')('connections beyond the descriptors', () => {
  it('are closed by the system, and those that are there go on, with files, and later ones, too', async () => {
    const folder = await temporaryFolder();
    const { url } = await start(['--data-dir', folder, '--durability', 'none'], 128);
    const sender = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 20; i += 1) expect(await sendOver(sender, url, `before ${i}`)).toBe(200);
    const idle = Array.from({ length: 200 }, () => connect(Number(new URL(url).port), '127.0.0.1'));
    await Promise.any(
      idle.map((socket) =>
        once(
          socket.on('error', () => undefined),
          'close',
        ),
      ),
    );
    for (let i = 0; i < 20; i += 1) expect(await sendOver(sender, url, `meanwhile ${i}`)).toBe(200);
    for (const socket of idle) socket.destroy();
    await expect.poll(() => send(url, 'afterwards', 0).catch(() => 0), { timeout: 20_000 }).toBe(200);
    sender.destroy();
  });
});

describe('the files that may be kept open', () => {
  it('fit the limit, with room for connections (D8)', () => {
    const limits = (soft: string): string =>
      `Limit  Soft  Hard  Units\nMax open files            ${soft}    4096    files\n`;
    expect(
      ['64', '128', '1024', '1048576', 'unlimited'].map((soft) =>
        cachedFilesWithin(descriptorLimitIn(limits(soft))),
      ),
    ).toEqual([4, 20, 244, 512, 512]);
    expect(descriptorLimitIn('something else')).toBe(Number.POSITIVE_INFINITY);
  });

  it('are closed when there is no descriptor left, and the file is opened after all (D8)', async () => {
    let relieved = 0;
    const end = onNoDescriptors(async () => void (relieved += 1));
    const failing = (code: string, times: number) => async (): Promise<string> => {
      if (times-- > 0) throw Object.assign(new Error(code), { code, syscall: 'open' });
      return 'opened';
    };
    expect(await opening(failing('EMFILE', 1))).toBe('opened');
    expect(await opening(failing('ENFILE', 1))).toBe('opened');
    await expect(opening(failing('EMFILE', 2))).rejects.toThrow('EMFILE');
    await expect(opening(failing('ENOENT', 1))).rejects.toThrow('ENOENT');
    expect(relieved).toBe(3);
    end();
  });
});

const BODY = ['fileId', 'chunkIndex', 'totalChunks', 'file']
  .map(
    (name, i) =>
      `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${['f', 0, 1, 'z'.repeat(400)][i]}\r\n`,
  )
  .join('')
  .concat('--b--\r\n');

function begin(port: number): Socket {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8');
  socket.write(
    `POST /media/chunks HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: ${BODY.length}\r\n\r\n`,
  );
  return socket;
}

describe('a server that was stopped for longer than its time-outs', () => {
  it('does not tell a client that its headers came too late which were on their way, and one that stays silent it does', async () => {
    const { url, child } = await start(['--storage', 'memory', '--header-timeout', '2s']);
    const [late, silent] = [0, 1].map(() =>
      connect(Number(new URL(url).port), '127.0.0.1').setEncoding('utf8'),
    ) as [Socket, Socket];
    const answers = [late, silent].map((socket) => once(socket, 'data') as Promise<[string]>);
    for (const socket of [late, silent]) socket.write('GET /media/chunks?fileId=f HTTP/1.1\r\nHo');
    await delay(300); // The server must have read both halves, so that its time-out runs.
    child.kill('SIGSTOP');
    await delay(2_500); // The server must be away for longer than its time-out.
    child.kill('SIGCONT');
    await delay(200); // The server must notice that the time is over before the rest arrives, as it does when a network comes back.
    late.write('st: x\r\n\r\n');
    expect((await answers[0])?.[0]).toMatch(/^HTTP\/1\.1 200 /);
    expect((await answers[1])?.[0]).toMatch(/^HTTP\/1\.1 408 /);
    late.destroy();
    silent.destroy();
  });

  it('does not tell a busy sender that it went silent, nor lets another take over from it', async () => {
    const { url, child } = await start([
      '--storage',
      'memory',
      '--idle-timeout',
      '700ms',
      '--takeover-after',
      '500ms',
    ]);
    const port = Number(new URL(url).port);
    const busy = begin(port);
    const answer = once(busy, 'data') as Promise<[string]>;
    let sent = 200;
    busy.write(BODY.slice(0, sent));
    const sending = setInterval(() => {
      busy.write(BODY.slice(sent, (sent += 10)));
      if (sent >= BODY.length) clearInterval(sending);
    }, 50);
    const rival = begin(port);
    const rivalAnswer = once(rival, 'data') as Promise<[string]>;
    rival.write(BODY);
    await delay(150);
    child.kill('SIGSTOP');
    await delay(1_500); // The server must be away for longer than both time-outs.
    child.kill('SIGCONT');
    for (const [text] of await Promise.all([answer, rivalAnswer])) expect(text).toMatch(/^HTTP\/1\.1 200 /);
    busy.destroy();
    rival.destroy();
  });
});
