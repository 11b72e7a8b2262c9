// soak/watchers.ts: the clients that do not upload in chunks. They arm rules, ask for the status of other clients' uploads, read
// every view of the admin plane, listen to events, send whole files, and check that abandoned uploads are gone.
//
// Must not know: how uploads are sent.
import { createHash } from 'node:crypto';
import { get } from 'node:http';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { Client, parsed, type Call } from './client.ts';
import { chunkBytes } from './content.ts';
import { deferred } from './deferred.ts';
import { adminGet } from './finish.ts';
import { fieldParts, formOf } from '../helpers/multipart.ts';
import { drawRule } from './rules.ts';
import type { Life } from './server.ts';
import type { Told, Upload } from './upload.ts';
import { statusCall } from './uploader.ts';
import { JOURNAL_ENTRIES, TIMES, type Site } from './world.ts';

/** The time to wait after the time-to-live: for what was being stored when it was abandoned, and for a busy machine. */
const GRAVE_MARGIN_MS = 5_000;

/** Rules of some key, or of everybody, are replaced by others all the time. */
export async function armRules(site: Site): Promise<void> {
  const { world } = site;
  const client = new Client(site, `${site.server.name}-armourer`);
  const { dice } = client;
  for (let batch = 1; !world.isOver; batch += 1) {
    const rules = Array.from({ length: dice.between(1, 6) }, (_, n) =>
      drawRule(dice, `soak-${site.server.name}-${batch}-${n}`),
    );
    for (const { id, effect } of rules) world.armed.set(id, effect);
    const keys = [...site.keys];
    const key = keys[dice.between(0, keys.length - 1)] ?? null;
    const path = dice.pick(['/rules', '/rules', '/rules', '/rules?namespace=public', '/rules?namespace=*']);
    const body = Buffer.from(JSON.stringify(rules.map(({ json }) => json)));
    await client.call({ what: `PUT ${path}`, method: 'PUT', path, isAdmin: true, key, body });
    await world.pause(dice.between(50, 250));
  }
  client.close();
}

/** Asks for uploads that other clients are sending: a reported size may never decrease. */
export async function pollStatuses(site: Site): Promise<void> {
  const { world } = site;
  const client = new Client(site, `${site.server.name}-poller`);
  while (!world.isOver) {
    const uploads = [...site.uploads];
    const upload = uploads[client.dice.between(0, uploads.length - 1)];
    if (upload !== undefined) await pollStatus(client, upload);
    await world.pause(client.dice.between(5, 100));
  }
  client.close();
}

async function pollStatus(client: Client, upload: Upload): Promise<void> {
  const known = upload.know();
  const outcome = await client.call(statusCall(upload));
  if (outcome.kind !== 'success' || outcome.effect === 'stale-status') return;
  const { data } = parsed(outcome.body) as { data: Told };
  const verdict = upload.judgeStatus(data, known, Date.now());
  if (verdict?.kind === 'wrong') client.problem(verdict.problem);
}

/** An abandoned upload is gone when its time is over, and not before. */
export async function visitGraves(site: Site): Promise<void> {
  const { world } = site;
  const client = new Client(site, `${site.server.name}-gravedigger`);
  while (!world.isOver) {
    const [oldest] = site.abandoned;
    if (oldest === undefined || Date.now() < oldest.leftAtMs + TIMES.uploadTtlMs + GRAVE_MARGIN_MS) {
      await world.pause(200);
      continue;
    }
    const outcome = await client.call(statusCall(oldest.upload));
    if (outcome.kind !== 'success') continue;
    site.abandoned.shift();
    site.uploads.delete(oldest.upload);
    const { data } = parsed(outcome.body) as { data: Told };
    if (data.exists && outcome.effect !== 'stale-status')
      client.problem(
        `${oldest.upload.plan.fileId} is still there ${Math.round((Date.now() - oldest.leftAtMs) / 1000)} s after it was left`,
      );
    world.record.counts.expired += 1;
  }
  client.close();
}

/** Files in one request, without chunks. */
export async function sendDirectly(site: Site): Promise<void> {
  const { world } = site;
  const client = new Client(site, `${site.server.name}-direct`);
  const { dice } = client;
  for (let index = 0; !world.isOver; index += 1) {
    const bytes = chunkBytes(
      { seed: world.options.seed, fileId: client.name, index },
      dice.between(0, 500_000),
    );
    const fields = fieldParts({ platforms: '["youtube"]', youtube: '{"title":"direct"}' });
    const file = { name: 'file', value: bytes, filename: 'soak.mp4' };
    const form = formOf(dice.chance(0.5) ? [file, ...fields] : [...fields, file]);
    const call: Call = { what: 'a direct upload', method: 'POST', path: '/media/videos', ...form };
    const isCut = dice.chance(0.2);
    const cut = {
      atByte: dice.between(0, form.body.length - 1),
      how: dice.pick<'FIN' | 'RST'>(['FIN', 'RST']),
    };
    const outcome = await client.call(isCut ? { ...call, cut } : call);
    if (outcome.kind === 'success') {
      const { id } = (parsed(outcome.body) as { data: { id: string } }).data;
      const content = await client.call(adminGet(`/media/${id}/content`));
      if (content.kind === 'success' && hashOf(content.body) !== hashOf(bytes))
        client.problem(
          `entry ${id} of a direct upload has ${content.body.length} bytes that are not the ${bytes.length} sent: wrong bytes`,
        );
      if (content.kind === 'success') world.record.counts.bytesVerified += bytes.length;
    }
    const reset = Buffer.from('{"scope":["media"]}');
    if (index % 5 === 4)
      await client.call({ what: 'POST reset', method: 'POST', path: '/reset', isAdmin: true, body: reset });
    await world.pause(dice.between(50, 600));
  }
  client.close();
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Heads that never end, and bytes that are not HTTP. */
export async function sendHalfHeads(site: Site): Promise<void> {
  const { world } = site;
  const { dice } = new Client(site, `${site.server.name}-mumbler`);
  while (!world.isOver) {
    const life = await site.server.whenOpen();
    const socket = connect({ port: Number(new URL(life.url).port), host: '127.0.0.1' });
    const closed = deferred();
    // It is no problem how this connection ends, because what it sends is not HTTP.
    socket
      .on('error', () => undefined)
      .once('close', () => closed.resolve())
      .resume();
    socket.write(
      dice.pick([
        'POST /media/chunks HTTP/1.1\r\nHost: x\r\nContent-Le',
        'GET / HTTP/1.1\r\n',
        '\x16\x03\x01\x00\x05hello',
        'NONSENSE\r\n\r\n',
      ]),
    );
    await Promise.race([closed.promise, world.pause(dice.between(10, 1_000))]);
    leave(socket, dice.chance(0.5));
    await world.pause(dice.between(50, 500));
  }
}

function leave(socket: Socket, isReset: boolean): void {
  if (isReset) socket.resetAndDestroy();
  else socket.destroy();
}

/** Reads every view of the admin plane. The journal itself reports answers that broke the contract. */
export async function readAdminPlane(site: Site): Promise<void> {
  const { world } = site;
  const client = new Client(site, `${site.server.name}-reader`);
  const { dice } = client;
  let seen = { life: 0, seq: 0 };
  const post = (path: string, json: object): Call => {
    const body = Buffer.from(JSON.stringify(json));
    return { what: `POST /__admin${path}`, method: 'POST', path, isAdmin: true, body };
  };
  const calls: [() => Call, ...(() => Call)[]] = [
    ...[
      '/health',
      '/ready',
      '/version',
      '/config',
      '/metrics',
      '/rules?namespace=*',
      '/clock',
      '/state',
      '/docs',
    ].map((path) => () => adminGet(path)),
    () => adminGet('/media?namespace=*'),
    () => adminGet('/requests?namespace=*&format=har&limit=50'),
    () => post('/requests/find', { operation: 'uploadChunk', status: 200 }),
    () => ({
      ...post('/requests/wait', { operation: 'uploadChunk', timeoutMs: 200 }),
      refusals: () => ['no code'],
    }),
    () => ({ ...post('/verify', { never: ['acknowledged chunk re-sent'] }), refusals: () => ['no code'] }),
  ] as unknown as [() => Call];
  while (!world.isOver) {
    await client.call({
      ...dice.pick(calls)(),
      key: [...site.keys][dice.between(0, site.keys.size - 1)] ?? null,
    });
    await lookForDamage(client);
    seen = await readJournal(client, seen);
    await world.pause(dice.between(50, 400));
  }
  client.close();
}

async function lookForDamage(client: Client): Promise<void> {
  for (const path of ['/uploads?namespace=*', '/media?namespace=*']) {
    const outcome = await client.call(adminGet(path));
    if (outcome.kind !== 'success') continue;
    const { damaged } = parsed(outcome.body) as { damaged: { message: string }[] };
    for (const { message } of damaged) client.problem(`GET /__admin${path} shows damage: ${message}`);
  }
}

interface Exchange {
  readonly seq: number;
  readonly operation: string;
  readonly fault: object | null;
  readonly response: { readonly status: number } | null;
  readonly contract: { readonly response: readonly string[] };
}

async function readJournal(client: Client, seen: { life: number; seq: number }): Promise<typeof seen> {
  const life = await client.site.server.whenOpen();
  const from = life.number === seen.life ? seen.seq : 0;
  const outcome = await client.callOn(
    life,
    adminGet(`/requests?namespace=*&limit=${JOURNAL_ENTRIES}&sinceSeq=${from}`),
  );
  if (outcome.kind !== 'success') return { life: life.number, seq: from };
  const { requests } = parsed(outcome.body) as { requests: Exchange[] };
  if (requests.length > JOURNAL_ENTRIES)
    client.problem(`the journal has ${requests.length} entries; it may keep ${JOURNAL_ENTRIES}`);
  for (const { operation, fault, response, contract } of requests) {
    if (fault !== null) continue;
    for (const sentence of contract.response)
      client.problem(`${operation} was answered ${response?.status} against the contract: ${sentence}`);
  }
  return { life: life.number, seq: requests.at(-1)?.seq ?? from };
}

/** Listens to all events, sometimes slowly, and continues where it stopped. */
export async function listen(site: Site): Promise<void> {
  const { world } = site;
  const client = new Client(site, `${site.server.name}-listener`);
  let last = { life: 0, id: 0 };
  while (!world.isOver) {
    const life = await site.server.whenOpen();
    const from = life.number === last.life ? last.id : null;
    const id = await listenOnce(client, life, from);
    last = { life: life.number, id };
    await world.pause(client.dice.between(0, 300));
  }
  client.close();
}

/** Resolves to the id of the last event. */
async function listenOnce(client: Client, life: Life, from: number | null): Promise<number> {
  const { dice, site } = client;
  const over = deferred();
  const headers = from === null ? {} : { 'last-event-id': String(from) };
  let last = from ?? 0;
  let rest = '';
  const take = (text: string): void => {
    const events = (rest + text).split('\n\n');
    rest = events.pop() ?? ''; // The last event is not complete yet.
    for (const event of events) {
      const id = /^id: (\d+)\nevent: (?!gap)/m.exec(event)?.[1];
      if (id === undefined) continue;
      if (Number(id) <= last) client.problem(`event ${id} came after event ${last}`);
      last = Number(id);
    }
  };
  const outgoing = get(`${life.adminUrl}/events?namespace=*`, { headers }, (answer) => {
    if (answer.statusCode !== 200) client.problem(`GET /__admin/events was answered ${answer.statusCode}`);
    answer
      .setEncoding('utf8')
      .on('data', take)
      .on('error', () => over.resolve());
    if (dice.chance(0.3)) {
      // It does not read for a while: the data that waits for it must stay bounded.
      answer.pause();
      void site.world.pause(dice.between(500, 4_000)).then(() => answer.resume());
    }
  });
  // It is no problem how a stream ends, by a restart or because nothing was read. It must only begin again.
  outgoing.on('error', () => over.resolve()).on('close', () => over.resolve());
  await Promise.race([over.promise, site.world.pause(dice.between(2_000, 15_000))]);
  outgoing.destroy();
  return last;
}
