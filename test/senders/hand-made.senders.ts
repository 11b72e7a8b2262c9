// hand-made.senders.ts: forms written by hand, sent by Python's http.client: as senders write them that this machine does not have,
// and as no sender should write them.
import { randomUUID } from 'node:crypto';
import { expect, inject, it } from 'vitest';
import {
  bytesOf,
  errorCodeIn,
  fileOf,
  sendAll,
  sha256,
  skipUnlessThere,
  storedUpload,
  type HandMade,
} from './harness.ts';
import { senderNamed } from './senders.ts';

const SENDER = senderNamed('Python http.client');
const BYTES = Buffer.concat([bytesOf('hand-made', 3_000), Buffer.from('\r\n')]);
const NAMED = 'Content-Disposition: form-data; name="file"';

type Given = Partial<Pick<HandMade, 'head' | 'charset' | 'boundary' | 'contentType' | 'headers'>>;

function withBoundary(boundary: string, parameter: string, type = 'multipart/form-data'): Given {
  return { boundary, contentType: `${type}; ${parameter}` };
}

const STORED: readonly (readonly [what: string, given: Given])[] = [
  [
    'as .NET writes it: names without quotes, two filenames, the type first',
    {
      ...withBoundary('0f8b-42', 'boundary="0f8b-42"'),
      head: `Content-Type: video/mp4\r\nContent-Disposition: form-data; name=file; filename=v.mp4; filename*=utf-8''v.mp4`,
    },
  ],
  [
    'as aiohttp writes it: the type first, the filename percent-encoded',
    { head: `Content-Type: video/mp4\r\n${NAMED}; filename="vid%C3%A9o%20%22a%22.mp4"` },
  ],
  [
    'as Spring and old OkHttp write it: with the length of the part',
    { head: `${NAMED}; filename="v.mp4"\r\nContent-Type: video/mp4\r\nContent-Length: ${BYTES.length}` },
  ],
  ['a wrong length of the part', { head: `${NAMED}; filename="v.mp4"\r\nContent-Length: 3` }],
  ['filename* only', { head: `${NAMED}; filename*=UTF-8''vid%C3%A9o.mp4` }],
  ['filename* before filename', { head: `${NAMED}; filename*=UTF-8''a%3Bb.mp4; filename="a.mp4"` }],
  ['a filename as in mail', { head: `${NAMED}; filename="=?UTF-8?B?dmlkw6lv?=.mp4"` }],
  ['a filename in Latin-1', { head: `${NAMED}; filename="vidéo.mp4"`, charset: 'latin-1' }],
  ['the filename before the name', { head: 'Content-Disposition: form-data; filename="a;b"; name="file"' }],
  ['no filename and a text type', { head: `${NAMED}\r\nContent-Type: text/plain; charset=utf-8` }],
  ['a folded header', { head: `Content-Disposition: form-data;\r\n\tname="file";\r\n  filename="v.mp4"` }],
  ['lower case and no spaces', { head: 'content-disposition:form-data;name="file";filename="v.mp4"' }],
  ['Content-Transfer-Encoding: binary', { head: `${NAMED}\r\nContent-Transfer-Encoding: binary` }],
  ['a quoted boundary with spaces', withBoundary('a b (c)', 'boundary="a b (c)"')],
  ['a boundary with an apostrophe, and no quotes', withBoundary("a'b", "boundary=a'b")],
  ['a boundary of 70 characters', withBoundary('b'.repeat(70), `boundary=${'b'.repeat(70)}`)],
  ['a charset before the boundary', withBoundary('b', 'charset=utf-8; boundary=b')],
  ['capital letters', withBoundary('B', 'BOUNDARY=B', 'Multipart/Form-Data')],
  ['Content-Encoding: identity', { headers: { 'Content-Encoding': 'identity' } }],
];

const REFUSED: readonly (readonly [what: string, status: number, code: string, given: Given])[] = [
  [
    'name* alone (RFC 7578 §4.2)',
    400,
    'invalid_request',
    { head: `Content-Disposition: form-data; name*=UTF-8''file` },
  ],
  ['a part without a Content-Disposition', 400, 'invalid_request', { head: 'Content-Type: video/mp4' }],
  [
    'a part that is an attachment',
    400,
    'invalid_request',
    { head: 'Content-Disposition: attachment; name="file"' },
  ],
  [
    'Content-Transfer-Encoding: base64 (RFC 7578 §4.7)',
    415,
    'unsupported_media_type',
    { head: `${NAMED}\r\nContent-Transfer-Encoding: base64` },
  ],
  ['multipart/mixed', 415, 'unsupported_media_type', withBoundary('b', 'boundary=b', 'multipart/mixed')],
  ['no boundary', 400, 'malformed_multipart', { contentType: 'multipart/form-data' }],
  ['a boundary that is not the one of the body', 400, 'malformed_multipart', withBoundary('a', 'boundary=b')],
  ['a boundary with spaces and no quotes', 400, 'malformed_multipart', withBoundary('a b', 'boundary=a b')],
];

/** Each of them with a length and in the chunked transfer coding, the file first and last. */
async function met(
  given: readonly Given[],
): Promise<{ status: number; code: string; stored: string | number }[]> {
  const [key, path] = [randomUUID(), await fileOf(BYTES)];
  const sendings = given.map((one, i): HandMade => ({
    url: `${inject('openUrl')}/media/chunks`,
    fields: [
      ['chunkIndex', '0'],
      ['totalChunks', '1'],
      ['fileId', String(i)],
    ],
    path,
    filename: null,
    isFileFirst: i % 2 === 0,
    mode: i % 3 === 0 ? 'chunked' : 'length',
    ...one,
    headers: { 'X-API-Key': key, ...one.headers },
  }));
  const outcomes = await sendAll(SENDER, sendings);
  return Promise.all(
    outcomes.map(async ({ status, text }, i) => ({
      status,
      code: errorCodeIn(text),
      stored: await storedUpload(key, String(i)),
    })),
  );
}

it('what real senders write is stored, byte for byte', async (context) => {
  skipUnlessThere(SENDER, context);
  const outcomes = await met(STORED.map(([, given]) => given));
  for (const [i, [what]] of STORED.entries())
    expect(outcomes[i], what).toMatchObject({ status: 200, stored: sha256(BYTES) });
});

it('what is no form with a file is refused, and nothing is stored', async (context) => {
  skipUnlessThere(SENDER, context);
  const outcomes = await met(REFUSED.map(([, , , given]) => given));
  for (const [i, [what, status, code]] of REFUSED.entries())
    expect(outcomes[i], what).toEqual({ status, code, stored: 404 });
});
