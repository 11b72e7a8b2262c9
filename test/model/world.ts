// model/world.ts: one server after another on the same data folder, and connections to it that are used again.
//
// Promises: requests go over real sockets. It is known when the server has let go of a request, whatever happened to the
// connection. An error in the server's log fails the test that closes the world.
// Must not know: uploads, the oracle.
import { cpSync, existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openServer, type Server } from '../../src/app.ts';
import { resolveConfig } from '../../src/config/config.ts';
import type { ConfigInput } from '../../src/config/options.ts';
import { version } from '../../src/index.ts';
import { DEFAULT_FIXTURES } from '../../src/media/accounts.ts';
import { createLogger } from '../../src/telemetry/telemetry.ts';
import { DEADLINE_MS, requestBytes } from '../helpers/raw.ts';
import { Wire, type Heard } from '../helpers/wire.ts';

/**
 * How a server ends. `drained`: as after SIGTERM. `closed`: requests in flight lose their connections. `killed`: the next process
 * finds the folder as it is at this moment, without any clean-up.
 */
export type Ending = 'drained' | 'closed' | 'killed';

const GRACE_MS = 5_000;
const ERROR_LEVEL = 50;

export class World {
  readonly #settings: ConfigInput;
  readonly #idle: Wire[] = [];
  /** To the server that runs now. */
  #current = new WeakSet<Wire>();
  readonly #endings = new Map<string, () => void>();
  readonly #errors: string[] = [];
  readonly #folders: string[] = [];
  #dataDir = '';
  #opened: Server | null = null;

  private constructor(settings: ConfigInput) {
    this.#settings = settings;
  }

  static async open(settings: ConfigInput): Promise<World> {
    const world = new World(settings);
    await world.#start(await world.#newFolder());
    return world;
  }

  get isOnDisk(): boolean {
    return this.#settings.storage === 'disk';
  }

  /** A connection that nobody else uses until it is given back. */
  async take(): Promise<Wire> {
    for (let wire = this.#idle.pop(); wire !== undefined; wire = this.#idle.pop()) {
      if (wire.ending === null) return wire;
      wire.leave();
    }
    const wire = await Wire.open(Number(new URL(this.#server.url).port));
    this.#current.add(wire);
    return wire;
  }

  /** After its answer. */
  giveBack(wire: Wire, heard: Heard): void {
    const isUsable = heard.isWhole && heard.headers['connection'] !== 'close';
    if (isUsable && this.#current.has(wire)) this.#idle.push(wire);
    else wire.leave();
  }

  /** A request of the admin plane. `line`: `PUT clock`. */
  async admin<T = unknown>(line: string, key: string, json?: unknown): Promise<T> {
    const [method = '', path = ''] = line.split(' ');
    const headers = { 'x-api-key': key, 'content-type': 'application/json' };
    const body = json === undefined ? '' : JSON.stringify(json);
    const wire = await this.take();
    const heard = await wire.request(requestBytes(`${method} /__admin/${path}`, headers, body));
    this.giveBack(wire, heard);
    const text = heard.body.toString();
    if (heard.status === null || heard.status >= 300) throw new Error(`${line}: ${heard.status} ${text}`);
    return JSON.parse(text) as T;
  }

  async storedBytes(key: string): Promise<number> {
    const wire = await this.take();
    const heard = await wire.request(requestBytes('GET /__admin/metrics', { 'x-api-key': key }));
    this.giveBack(wire, heard);
    return Number(/^xenonflare_mock_stored_bytes (\d+)$/m.exec(heard.body.toString())?.[1]);
  }

  /** Call this before the request is sent. Resolves when the server has let go of the request, or has ended. */
  async ended(requestId: string): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`the server still has request ${requestId}`)), DEADLINE_MS);
    });
    const told = new Promise<void>((resolve) => this.#endings.set(requestId, resolve));
    await Promise.race([told, tooLate]).finally(() => clearTimeout(timer));
  }

  /**
   * `meanwhile` is called when the end has begun. Resolves when the next server answers.
   * @param folder the folder of the next server: a copy, if this one is killed
   */
  async restart(ending: Ending, meanwhile: () => void, folder = this.#dataDir): Promise<void> {
    const server = this.#server;
    const isOver = ending === 'drained' ? server.drain(GRACE_MS) : server.close();
    meanwhile();
    await isOver;
    this.#forgetConnections();
    await this.#start(folder);
  }

  /**
   * Copies the folder as a process leaves it that is killed now. Ledgers are copied first, so that the bytes which they name are
   * there.
   */
  async image(): Promise<string> {
    const image = await this.#newFolder();
    for (const part of ['ledgers', 'bytes', 'spool']) {
      const from = join(this.#dataDir, part);
      if (existsSync(from)) cpSync(from, join(image, part), { recursive: true });
    }
    return image;
  }

  /** Errors that were logged since the last call. */
  takeErrors(): string[] {
    return this.#errors.splice(0);
  }

  async close(): Promise<void> {
    await this.#opened?.close();
    this.#forgetConnections();
    await Promise.all(this.#folders.map((folder) => rm(folder, { recursive: true, force: true })));
  }

  get #server(): Server {
    if (this.#opened === null) throw new Error('no server is running');
    return this.#opened;
  }

  async #start(folder: string): Promise<void> {
    this.#dataDir = folder;
    const { config, sources } = resolveConfig([
      { source: 'option', values: { ...this.#settings, dataDir: folder } },
      { source: 'default', values: { port: 0, logLevel: 'info' } },
    ]);
    const logger = createLogger(config.logLevel, { write: (line) => this.#logged(line) });
    this.#opened = await openServer({ config, sources, fixtures: DEFAULT_FIXTURES, logger, version });
  }

  /** A log line is the server's last word about a request: its handler has then given back what it held. */
  #logged(line: string): void {
    const { level, reqId } = JSON.parse(line) as { level: number; reqId?: string };
    if (level >= ERROR_LEVEL) this.#errors.push(line);
    // This line says that a rule fired; it is not the end of the request.
    if (reqId === undefined || line.includes('"explain"')) return;
    this.#endings.get(reqId)?.();
    this.#endings.delete(reqId);
  }

  #forgetConnections(): void {
    for (const wire of this.#idle.splice(0)) wire.leave();
    this.#current = new WeakSet();
    for (const end of this.#endings.values()) end();
    this.#endings.clear();
  }

  async #newFolder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-model-'));
    this.#folders.push(folder);
    return folder;
  }
}

/** Looks again and again until it is so; false when that takes too long. */
export async function comesTrue(look: () => Promise<boolean>): Promise<boolean> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await look())) {
    if (Date.now() > deadline) return false;
    await delay(1);
  }
  return true;
}
