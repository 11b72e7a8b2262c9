// soak/run.ts: a soak from beginning to end: two servers, all their clients, restarts, samples.
//
// Promises: one server is restarted at random moments; the other runs through the whole soak, so that growth can be seen. They have
// different chunk orders. The soak ends when its time is over, when it is told to end, or when a server cannot be started any more.
// At the end each server is killed, started and audited once more, and nothing is left running.
// Must not know: how a report looks.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { audit } from './audit.ts';
import { Client, parsed } from './client.ts';
import type { SoakOptions } from './options.ts';
import { Record } from './record.ts';
import { measure, type Sample } from './samples.ts';
import { SoakServer, type EndSignal } from './server.ts';
import { TEMPERAMENTS } from './temperaments.ts';
import { Uploader } from './uploader.ts';
import * as watchers from './watchers.ts';
import { JOURNAL_ENTRIES_PER_KEY, Site, TIMES, World } from './world.ts';

const SAMPLE_MS = 1_000;
const PROGRESS_MS = 10_000;
/** The time for what clients are in the middle of. */
const CLOSING_MS = 10_000;

export interface Soaked {
  readonly record: Record;
  readonly samples: readonly Sample[];
  readonly servers: readonly SoakServer[];
}

export interface Surroundings {
  /** The server's own command. */
  readonly command: string;
  /** It must be empty. The caller deletes it. */
  readonly folder: string;
  readonly say: (text: string) => void;
  /** When it is aborted, the soak ends now. */
  readonly stop: AbortSignal;
}

export async function soak(options: SoakOptions, around: Surroundings): Promise<Soaked> {
  const record = new Record(around.say);
  const world = new World(options, record);
  around.stop.addEventListener('abort', () => world.end(), { once: true });
  const other = options.chunkOrder === 'any' ? 'sequential' : 'any';
  const restless = await openSite(world, { name: 'restless', order: options.chunkOrder, around });
  const steady = await openSite(world, { name: 'steady', order: other, around });
  const sites = [restless, steady];
  const samples: Sample[] = [];
  const timer = setTimeout(() => world.end(), options.minutes * 60_000);
  const clients = sites.flatMap(populate);
  const keepers = [restarts(restless), sampling(sites, { around, samples }), progress(world, around.say)];
  await Promise.all(keepers);
  clearTimeout(timer);
  await Promise.race([Promise.all(clients), pause(CLOSING_MS)]);
  for (const site of sites) await restart(site, 'SIGKILL');
  await Promise.all(clients);
  for (const { server } of sites) await server.end('SIGTERM');
  return { record, samples, servers: sites.map(({ server }) => server) };
}

interface SiteSpec {
  readonly name: string;
  readonly order: 'sequential' | 'any';
  readonly around: Surroundings;
}

async function openSite(world: World, { name, order, around }: SiteSpec): Promise<Site> {
  const folder = join(around.folder, name);
  await mkdir(folder);
  const flags = {
    '--port': '0',
    '--data-dir': folder,
    '--durability': world.options.durability,
    '--chunk-order': order,
    '--seed': `${world.options.seed}`,
    '--log-level': 'warn',
    '--upload-ttl': `${TIMES.uploadTtlMs}ms`,
    '--takeover-after': `${TIMES.takeoverMs}ms`,
    '--idle-timeout': `${TIMES.idleMs}ms`,
    '--header-timeout': `${TIMES.idleMs}ms`,
    '--grace': `${TIMES.graceMs}ms`,
    '--journal-entries': `${JOURNAL_ENTRIES_PER_KEY}`,
    '--spool-memory': '4MiB',
  };
  const argv = [around.command, 'serve', ...Object.entries(flags).flat()];
  const server = new SoakServer({ name, argv, record: world.record });
  const site = new Site(world, server, order);
  server.onDeath(() => world.end());
  await server.start();
  server.open();
  return site;
}

/** All clients of a server. A client that fails is a defect of the soak, and ends it. */
function populate(site: Site): Promise<void>[] {
  const uploaders = TEMPERAMENTS.map((temperament, number) => new Uploader(site, temperament, number).run());
  const others = [
    watchers.armRules,
    watchers.pollStatuses,
    watchers.visitGraves,
    watchers.sendDirectly,
    watchers.sendHalfHeads,
    watchers.readAdminPlane,
    watchers.listen,
  ];
  return [...uploaders, ...others.map((watch) => watch(site))].map(async (running) => {
    try {
      await running;
    } catch (error) {
      site.world.record.problem(`the soak itself failed: ${(error as Error).stack}`);
      site.world.end();
    }
  });
}

async function restarts(site: Site): Promise<void> {
  const { world } = site;
  const { dice } = new Client(site, `${site.server.name}-restarts`);
  for (;;) {
    const share = dice.chance(0.15) ? 0.05 : dice.between(30, 180) / 100;
    await world.pause(world.options.restartSeconds * 1_000 * share);
    if (world.isOver) return;
    await restart(site, dice.pick(['SIGKILL', 'SIGTERM']));
  }
}

async function restart(site: Site, signal: EndSignal): Promise<void> {
  const { server, world } = site;
  try {
    await server.end(signal);
    const life = await server.start();
    const auditor = new Client(site, `${server.name}-auditor`);
    await audit(auditor, life);
    auditor.close();
  } catch (error) {
    world.record.problem(`after ${signal}: ${(error as Error).message}`);
    world.end();
  }
  server.open();
}

async function sampling(
  sites: readonly Site[],
  { around, samples }: { around: Surroundings; samples: Sample[] },
): Promise<void> {
  const [{ world }] = sites as [Site];
  const clients = sites.map((site) => new Client(site, `${site.server.name}-sampler`));
  while (!world.isOver) {
    const taken = await Promise.all(clients.map((client) => sampleOf(client, around.folder)));
    samples.push(...taken.filter((sample) => sample !== null));
    await world.pause(SAMPLE_MS);
  }
  for (const client of clients) client.close();
}

/** Null: the server is being restarted. */
async function sampleOf(client: Client, folder: string): Promise<Sample | null> {
  const { server, world } = client.site;
  const { life } = server;
  if (life === null || server.isClosed) return null;
  const counting = client.callOn(life, {
    what: 'POST requests/count',
    method: 'POST',
    path: '/requests/count?namespace=*',
    isAdmin: true,
    body: Buffer.from('{}'),
  });
  const { seconds } = world.record;
  const [counted, measured] = await Promise.all([counting, measure(life.pid, join(folder, server.name))]);
  const journal = counted.kind === 'success' ? (parsed(counted.body) as { count: number }).count : null;
  return { server: server.name, life: life.number, seconds, journal, ...measured };
}

async function progress(world: World, say: (text: string) => void): Promise<void> {
  for (;;) {
    await world.pause(PROGRESS_MS);
    if (world.isOver) return;
    const { counts, problems, seconds } = world.record;
    say(
      `${Math.round(seconds)} s: ${counts.requests} requests, ${counts.completed} uploads verified, ` +
        `${Math.round(counts.bytesVerified / 1024 ** 2)} MiB, ${counts.audits} restarts survived, ${problems.length} problems`,
    );
  }
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms).unref());
}
