// matrix.senders.ts: what each sender can send, and what the result is: all bytes that were sent, or the documented refusal, which
// the sender can read.
import { randomUUID } from 'node:crypto';
import { describe, expect, inject, it } from 'vitest';
import {
  bytesOf,
  errorCodeIn,
  exchangesOf,
  fileOf,
  sendAll,
  sha256,
  skipUnlessThere,
  storedEntry,
  storedUpload,
  type Outcome,
  type Sending,
} from './harness.ts';
import { KEY, SENDERS, type Sender } from './senders.ts';

const MIB = 1024 * 1024;

/** With what a reader of forms could take for a line end, or for a delimiter. */
const BYTES = Buffer.concat([
  Buffer.from('\r\n--'),
  bytesOf('a chunk', 5_000),
  Buffer.from('\r\n\r\n--\r\n------\r\n----hand made\r\n\r'),
]);

const PLAIN_NAMES = [
  'video.mp4',
  "it's, a=b.mp4",
  'vidéo 動画 🎬.mp4',
  '100%.mp4',
  '%22%0d%0a.mp4',
  'semi;colon.mp4',
  ' spaces .mp4',
  'a\ttab.mp4',
  `${'long'.repeat(60)}.mp4`,
];
const PATHS = ['../../etc/x.mp4', '/etc/passwd', 'C:\\fakepath\\v.mp4', 'back\\slash.mp4', 'ends in one\\'];
/** Those that a sender has to escape. */
const QUOTES = ['a "quoted" one.mp4', 'x"; name="fileId"; y="z.mp4', 'ends in "'];
/** Those that end a header, or seem to, unless they are escaped. */
const LINE_FEED = 'line\nfeed.mp4';
const LINE_END = 'line\r\nend: x.mp4';
const NONE = ['', null];

/** These write a name to the letter, line feeds included. */
function escapesLines({ name }: Sender, mode: string): boolean {
  return name !== 'Python http.client' && name !== 'Ruby' && mode !== 'form-escape';
}

/** Where the form is written by hand nothing is escaped; such a name is the author's to avoid. */
function namesFor({ name }: Sender): string[] {
  return [...PLAIN_NAMES, ...PATHS, ...(name === 'Python http.client' ? [] : QUOTES)];
}

/** Ruby 3.1 ends the body where a part is empty: a chunk of no bytes is the last one in this coding. */
function canSend({ name }: Sender, { mode, bytes }: { mode: string; bytes: Buffer }): boolean {
  return !(name === 'Ruby' && mode === 'chunked' && bytes.length === 0);
}

/** Without the escapes that senders use for what would break a header. */
function unescaped(filename: string | undefined): string | undefined {
  return filename?.replaceAll(/%(22|0A|0D|09)/gi, (_escape, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}

/** The package form-data drops folders. */
function nameAsSent({ name }: Sender, { mode, filename }: Sending): string | undefined {
  const isPackage = name === 'form-data' || mode === 'form-data';
  return isPackage ? filename?.replace(/^.*\//, '') : (filename ?? undefined);
}

function chunkSending(key: string, given: Partial<Sending> & { path: string; mode: string }): Sending {
  return {
    url: `${inject('openUrl')}/media/chunks`,
    headers: { 'X-API-Key': key },
    fields: [
      ['chunkIndex', '0'],
      ['totalChunks', '1'],
      ['fileId', randomUUID()],
    ],
    filename: 'chunk',
    isFileFirst: false,
    ...given,
  };
}

function fileIdIn({ fields }: Sending): string {
  return fields.find(([name]) => name === 'fileId')?.[1] ?? '';
}

function orderOf({ isFileFirst }: Sending): string {
  return isFileFirst ? 'file first' : 'fields first';
}

interface Sent {
  readonly sending: Sending;
  readonly outcome: Outcome;
  readonly code: string;
  /** SHA-256 of what is stored under the fileId; 404 when nothing is. */
  readonly stored: string | number;
  /** For the message of a failure. */
  readonly what: string;
}

async function send(sender: Sender, sendings: readonly Sending[]): Promise<Sent[]> {
  const outcomes = await sendAll(sender, sendings);
  return Promise.all(
    sendings.map(async (sending, i) => {
      const outcome = outcomes[i] ?? { status: 0, text: 'nothing was said of it' };
      const what = `${sending.mode}, ${orderOf(sending)}, ${JSON.stringify(sending.filename)}: ${outcome.text}`;
      const stored = await storedUpload(sending.headers['X-API-Key'] ?? '', fileIdIn(sending));
      return { sending, outcome, code: errorCodeIn(outcome.text), stored, what };
    }),
  );
}

describe.each(SENDERS)('$name', (sender) => {
  it('every way of sending, both orders of the parts, and lengths from none to many: byte for byte (C10)', async (context) => {
    skipUnlessThere(sender, context);
    const key = randomUUID();
    for (const bytes of [Buffer.alloc(0), Buffer.from('\n'), BYTES, bytesOf('a large chunk', 3 * MIB)]) {
      const path = await fileOf(bytes);
      const modes = sender.modes.filter((mode) => canSend(sender, { mode, bytes }));
      const sendings = modes.flatMap((mode) =>
        [true, false].map((isFileFirst) => chunkSending(key, { path, mode, isFileFirst })),
      );
      for (const { outcome, stored, what } of await send(sender, sendings))
        expect([outcome.status, stored], what).toEqual([200, sha256(bytes)]);
    }
  });

  it('a chunk is stored whatever its file is called, and the name is on record as it was sent', async (context) => {
    skipUnlessThere(sender, context);
    const key = randomUUID();
    const path = await fileOf(BYTES);
    const names = [...namesFor(sender), ...NONE];
    const sendings = sender.modes.flatMap((mode) =>
      names.map((filename, i) => chunkSending(key, { path, mode, filename, isFileFirst: i % 2 === 0 })),
    );
    const sent = await send(sender, sendings);
    const exchanges = await exchangesOf(key);
    for (const { sending, outcome, stored, what } of sent) {
      expect([outcome.status, stored], what).toEqual([200, sha256(BYTES)]);
      // A sender that is given no name may make one up.
      if (sending.filename === null || sending.filename === '') continue;
      const { body } = exchanges.find(({ upload }) => upload?.fileId === fileIdIn(sending)) ?? {};
      const onRecord = body?.parts.find(({ name }) => name === 'file')?.filename;
      expect(unescaped(onRecord), what).toBe(unescaped(nameAsSent(sender, sending)));
    }
  });

  it('a line feed in the name is escaped by the sender, or the part is refused', async (context) => {
    skipUnlessThere(sender, context);
    const key = randomUUID();
    const path = await fileOf(BYTES);
    const sendings = sender.modes.flatMap((mode) =>
      [LINE_FEED, LINE_END].map((filename) => chunkSending(key, { path, mode, filename })),
    );
    for (const { sending, outcome, code, stored, what } of await send(sender, sendings)) {
      // A whole line end splits one header into two, and the first of them still has the name of the part.
      const isStored = escapesLines(sender, sending.mode) || sending.filename === LINE_END;
      if (isStored) expect([outcome.status, stored], what).toEqual([200, sha256(BYTES)]);
      else {
        expect([outcome.status, code, stored], what).toEqual([400, 'invalid_request', 404]);
        expect(outcome.text).toContain('look at its Content-Disposition');
      }
    }
  });

  it('a direct upload takes its kind from the end of the name, however that is written', async (context) => {
    skipUnlessThere(sender, context);
    const key = randomUUID();
    const path = await fileOf(BYTES);
    const title = 'Grüße; "quoted" & 100% \\ 🎬';
    const fields = [
      ['platforms', '["youtube"]'],
      ['title', title],
    ] as const;
    const names = namesFor(sender).filter((name) => name.endsWith('.mp4'));
    const sendings = names.map((filename, i) => {
      const mode = sender.modes[i % sender.modes.length] ?? '';
      const url = `${inject('openUrl')}/media/videos`;
      return { ...chunkSending(key, { path, mode, filename, isFileFirst: i % 2 === 0 }), url, fields };
    });
    for (const { outcome, what } of await send(sender, sendings)) {
      expect(outcome.status, what).toBe(201);
      const { data } = JSON.parse(outcome.text) as { data: { id: string; title: string } };
      expect([data.title, await storedEntry(key, data.id)], what).toEqual([title, sha256(BYTES)]);
    }
  });

  it('reads the refusal of a large body that it is still sending', async (context) => {
    skipUnlessThere(sender, context);
    const path = await fileOf(bytesOf('far too large', 8 * MIB));
    const url = `${inject('strictUrl')}/media/chunks`;
    const refused = [
      ['a-bad-key', 401, 'api_key_invalid'],
      [KEY, 413, 'upload_too_large'],
    ] as const;
    for (const [key, status, code] of refused) {
      const sendings = sender.modes.map((mode) => ({ ...chunkSending(key, { path, mode }), url }));
      for (const sent of await send(sender, sendings))
        expect([sent.outcome.status, sent.code], sent.what).toEqual([status, code]);
    }
  });

  it('is told that a body with a Content-Encoding is not taken', async (context) => {
    skipUnlessThere(sender, context);
    const headers = { 'X-API-Key': randomUUID(), 'Content-Encoding': 'gzip' };
    const path = await fileOf(BYTES);
    const sendings = sender.modes.map((mode) => chunkSending('', { path, mode, headers }));
    for (const { outcome, code, stored, what } of await send(sender, sendings)) {
      expect([outcome.status, code, stored], what).toEqual([415, 'unsupported_media_type', 404]);
      expect(outcome.text).toContain('Content-Encoding');
    }
  });
});
