// hostile/bodies.ts: hostile bodies in valid HTTP: damaged forms, JSON bombs, gzip bombs, for the routes of the contract and of the
// admin plane.
//
// Must not know: sockets, what the server answers.
import { gzipSync } from 'node:zlib';
import type { Dice } from '../helpers/seed.ts';
import {
  bytesOf,
  exchange,
  fileIdOf,
  type Generator,
  type HostileCase,
  type Setting,
} from './hostile-case.ts';

// Forms

interface FormPart {
  readonly headers: readonly string[];
  readonly value: string;
}

interface Form {
  readonly boundary: string;
  readonly contentType: string;
  readonly parts: readonly FormPart[];
}

const BOUNDARIES = ['b', '----WebKitFormBoundaryE19zNvXGzXaLvS5C', '-', `a'()+_,-./:=?z`, 'x'.repeat(70)];

const ABSURD_NUMBERS = [
  '',
  '-1',
  '+1',
  ' 1',
  '1 ',
  '01',
  '1.0',
  '1e3',
  '0x10',
  'NaN',
  'Infinity',
  '-0',
  'null',
  'true',
  '[0]',
  '1_0',
  '4294967296',
  '9007199254740993',
  '9'.repeat(400),
  '1000001',
  '999999',
  '0.1',
  '1;2',
  '1\0',
  '²',
].map((text) => Buffer.from(text).toString('latin1'));
/** In UTF-8. `\d` of some languages accepts these digits; `Number` of no language does. */
const UNICODE_DIGITS = ['\u0661', '\uff11', '\u{1d7d9}', '\u0967', '1\u200b', '\u202e1'].map((text) =>
  Buffer.from(text).toString('latin1'),
);
const ODD_NAMES = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '',
  ' ',
  'file[]',
  'file\0',
  'fileId ',
  'FILEID',
  'fileIdÿ',
  'n'.repeat(5e3),
  '../../etc',
  '%66ile',
  'file"; name="fileId',
];
const ODD_FILE_IDS = [
  '',
  '.',
  '..',
  '../../../../x',
  '/etc/hostname',
  'a\\b',
  'C:\\x',
  'CON',
  'À®À®/',
  'í\xA0',
  'ÿþ',
  'a\0b',
  'a\r\nb',
  '%2e%2e%2f',
  'x'.repeat(256),
  'x'.repeat(257),
  '{{7*7}}',
  '${x}',
  '__proto__',
  'constructor',
  'â®',
  'ï»¿',
  'ð'.repeat(128),
  '*',
  "' or 1=1 --",
  '<script>',
];
const ODD_HEADERS = [
  'Content-Type: text/plain; charset=utf-7',
  'Content-Type: application/octet-stream; charset=utf-16',
  'Content-Transfer-Encoding: base64',
  'Content-Transfer-Encoding: quoted-printable',
  'Content-Encoding: gzip',
  'Content-Length: 1',
  'Content-Length: -1',
  'Transfer-Encoding: chunked',
  'Content-Disposition: attachment',
  'Content-Disposition: form-data; name="other"',
  'nonsense',
  ': x',
  'X: a\r\n b',
  'X: a\nb',
  'X: \0',
  'ÿ: ÿ',
  `X: ${'y'.repeat(3e3)}`,
  `Content-Disposition: form-data; name*=UTF-8''file`,
  'content-disposition:',
];

const partOf = (name: string, value: string, rest = ''): FormPart => ({
  headers: [`Content-Disposition: form-data; name="${name}"${rest}`],
  value,
});

function formFor({ n, dice }: Setting, isChunk: boolean): Form {
  const boundary = dice.pick(BOUNDARIES);
  const fileId = fileIdOf(n);
  const bytes = dice.chance(0.9) ? `bytes ${n}` : 'x'.repeat(dice.between(1_000, 100_000));
  const file = partOf('file', bytes, '; filename="a.mp4"');
  const own = isChunk
    ? [
        partOf('fileId', fileId),
        partOf('chunkIndex', '0'),
        partOf('totalChunks', dice.pick(['1', '2'])),
        file,
      ]
    : [partOf('platforms', '["instagram"]'), dice.chance(0.7) ? file : partOf('fileId', fileId)];
  const quoted = /^[\w'+.-]+$/.test(boundary) ? boundary : `"${boundary}"`;
  return { boundary, contentType: `multipart/form-data; boundary=${quoted}`, parts: dice.shuffled(own) };
}

type Damage = (form: Form, dice: Dice) => Form;

const withPart =
  (change: (part: FormPart, dice: Dice) => FormPart | FormPart[]): Damage =>
  (form, dice) => {
    const at = dice.between(0, form.parts.length - 1);
    return { ...form, parts: form.parts.flatMap((part, i) => (i === at ? change(part, dice) : [part])) };
  };

const named = (pattern: RegExp, values: readonly string[]): Damage => {
  const isMeant = ({ headers }: FormPart): boolean => headers.some((header) => pattern.test(header));
  return (form, dice) => ({
    ...form,
    parts: form.parts.map((part) => (isMeant(part) ? { ...part, value: dice.pick(values) } : part)),
  });
};

/** What is wrong inside of the form. */
const FORM_DAMAGES: readonly Damage[] = [
  named(/name="(chunkIndex|totalChunks)"/, ABSURD_NUMBERS),
  named(/name="(chunkIndex|totalChunks)"/, UNICODE_DIGITS),
  named(/name="fileId"/, ODD_FILE_IDS),
  named(/name="platforms"/, [
    '',
    '[',
    '{}',
    '["__proto__"]',
    '[[[[[]]]]]',
    `["${'x'.repeat(9_000)}"]`,
    '[null]',
  ]),
  withPart((part) => [part, part]),
  withPart(() => []),
  withPart((part) => ({ ...part, headers: [] })),
  withPart((part, dice) => ({ ...part, headers: [...part.headers, dice.pick(ODD_HEADERS)] })),
  withPart((part, dice) => ({ ...part, headers: [dice.pick(ODD_HEADERS), ...part.headers] })),
  withPart((part, dice) => ({
    ...part,
    headers: Array<string>(dice.between(10, 600)).fill('X-Many: header').concat(part.headers),
  })),
  withPart((part, dice) => ({
    ...part,
    headers: [`Content-Disposition: form-data; name="${dice.pick(ODD_NAMES)}"`],
  })),
  withPart((part, dice) => [part, partOf(dice.pick(ODD_NAMES), 'x'.repeat(dice.between(0, 2_000)))]),
  withPart((part, dice) => [
    ...Array.from({ length: dice.between(90, 300) }, (_, i) => partOf(`p${i}`, '')),
    part,
  ]),
  withPart((part) => ({ ...part, headers: part.headers.map((header) => header.replace('form-data; ', '')) })),
  withPart((part) => ({ ...part, headers: part.headers.map((header) => header.replaceAll('"', '')) })),
  withPart((part) => ({ ...part, headers: part.headers.map((header) => header.replace(/"$/, '')) })),
  withPart((part) => ({
    ...part,
    headers: part.headers.map((header) => `${header}; filename="../../../x\0.mp4"`),
  })),
  withPart((part) => ({ ...part, value: '\0'.repeat(100) })),
  withPart((part) => ({ ...part, value: '\xff\xfe\xfd' })),
  withPart((part, dice) => ({ ...part, value: 'v'.repeat(dice.pick([65_535, 65_536, 65_537, 70_000])) })),
  (form) => ({ ...form, parts: [] }),
  (form, dice) => ({
    ...form,
    parts: [
      {
        headers: [
          'Content-Disposition: form-data; name="file"',
          'Content-Type: multipart/mixed; boundary=inner',
        ],
        value: `--inner\r\n\r\nx\r\n--inner--`,
      },
      ...dice.shuffled(form.parts),
    ],
  }),
  (form, dice) => ({
    ...form,
    contentType: dice.pick([
      'multipart/form-data',
      'multipart/form-data; boundary=',
      'multipart/form-data; boundary=""',
      'multipart/mixed; boundary=b',
      'multipart/form-data; boundary=other',
      'text/plain',
      'application/json',
      '',
      'a',
      '/',
      ';',
      'multipart/form-data, text/plain',
      `multipart/form-data; boundary=${'y'.repeat(201)}`,
      `multipart/form-data; boundary="b\\"`,
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=b; boundary=c',
      `multipart/form-data; ${'x=y; '.repeat(500)}boundary=b`,
      '__proto__',
    ]),
  }),
];

/** What is wrong with its bytes. `at` is a place in them. */
const BYTE_DAMAGES: readonly ((body: string, at: number, dice: Dice) => string)[] = [
  (body, at) => body.slice(0, at),
  (body) => body.slice(0, -4),
  (body) => body.replaceAll('\r\n', '\n'),
  (body) => body.replaceAll('\r\n', '\r'),
  (body, at) => body.slice(0, at) + body.slice(at).replace('\r\n', ''),
  (body, at) => body.slice(0, at) + body.slice(at).replace('\r\n', '\r\n\r\n'),
  (body, at) => body.slice(0, at) + body.slice(at).replace('--', '-'),
  (body, at) => body.slice(0, at) + body.slice(at).replace('--', '---'),
  (body, at, dice) => body.slice(0, at) + body.slice(at + dice.between(1, 40)),
  (body, at, dice) => body.slice(0, at + dice.between(1, 80)) + body.slice(at),
  (body, at, dice) => body.slice(0, at) + dice.bytes(dice.between(1, 20)).toString('latin1') + body.slice(at),
  (body, at, dice) =>
    body.slice(0, at) +
    String.fromCharCode((body.charCodeAt(at) || 0) ^ (1 << dice.between(0, 7))) +
    body.slice(at + 1),
  (body, _, dice) => 'preamble '.repeat(dice.between(1, 3_000)) + body,
  (body, _, dice) => `preamble\r\n${body}${'epilogue '.repeat(dice.between(1, 2_000))}`,
  (body) => body + body,
  (_, __, dice) => dice.bytes(dice.between(0, 300)).toString('latin1'),
  () => '',
];

function textOf({ boundary, parts }: Form): string {
  const all = parts.map(
    ({ headers, value }) =>
      `--${boundary}\r\n${headers.map((header) => `${header}\r\n`).join('')}\r\n${value}\r\n`,
  );
  return `${all.join('')}--${boundary}--\r\n`;
}

export const multipartDamage: Generator = (setting) => {
  const { dice } = setting;
  const isChunk = dice.chance(0.75);
  let form = formFor(setting, isChunk);
  // Some are good: otherwise a server that refuses everything would pass.
  for (let times = dice.between(0, 2); times > 0; times -= 1) form = dice.pick(FORM_DAMAGES)(form, dice);
  let body = textOf(form);
  if (dice.chance(0.45)) body = dice.pick(BYTE_DAMAGES)(body, dice.between(0, body.length), dice);
  const target = isChunk
    ? '/media/chunks'
    : dice.pick(['/media/videos', '/media/images', '/api/v1/media/videos']);
  const lines = form.contentType === '' ? [] : [`Content-Type: ${form.contentType}`];
  return exchange(setting, { method: 'POST', target, lines }, bytesOf(body));
};

// JSON

/** Text that is JSON or nearly JSON, and that harms code which copies, merges, prints or walks it carelessly. */
const BOMBS: readonly ((dice: Dice) => string)[] = [
  (dice) => '['.repeat(dice.between(10, 30_000)),
  nested('[', ']'),
  nested('{"a":', '}'),
  (dice) => `[${'0,'.repeat(dice.between(10, 20_000))}0]`,
  (dice) => `[${'{},'.repeat(dice.between(10, 8_000))}{}]`,
  (dice) => `{${Array.from({ length: dice.between(1, 3_000) }, (_, i) => `"k${i}":${i}`).join()}}`,
  (dice) => `{"${'k'.repeat(dice.between(1_000, 40_000))}":1}`,
  () => '{"__proto__":{"isAdmin":true},"constructor":{"prototype":{"x":1}}}',
  () => '{"toString":1,"hasOwnProperty":null,"valueOf":[],"then":{}}',
  () => '{"length":4294967295,"0":1}',
  (dice) => '9'.repeat(dice.between(300, 5_000)),
  () => '1e999999',
  () => '-1e-999999',
  () => '9007199254740993',
  () => '{"a":1,"a":2,"a":{"a":3}}',
  () => '"\\ud800"',
  () => '"\\u0000\\u001f"',
  () => '"\xff\xfe"',
  () => '\xef\xbb\xbf{}',
  () => "{'a':1}",
  () => '{"a":NaN}',
  () => '{"a":undefined}',
  () => '[1,]',
  () => 'null',
  () => 'true',
  () => '""',
  () => '',
  (dice) => `"${'\\u0041'.repeat(dice.between(100, 5_000))}"`,
  (dice) => `"${'x'.repeat(dice.between(1_000, 60_000))}"`,
  (dice) => dice.bytes(dice.between(1, 200)).toString('latin1'),
];

/** Values nested in each other. */
function nested(open: string, close: string): (dice: Dice) => string {
  return (dice) => {
    const depth = dice.pick([5, 31, 32, 33, 100, 1_000, 5_000, 20_000]);
    return `${open.repeat(depth)}1${close.repeat(depth)}`;
  };
}

const SETTINGS = ['youtube', 'instagram', 'tiktok', 'linkedin', 'pinterest'];
const ENTRY_FIELDS = [
  'title',
  'description',
  'platforms',
  'scheduledAt',
  'isDraft',
  'profileId',
  'fileId',
  'youtubeTitle',
  'selectedInstagramAccounts',
  '__proto__',
];
const SETTING_KEYS = [
  'channels',
  'accounts',
  'privacy',
  'title',
  'caption',
  'autoPublish',
  'profileId',
  'disableComment',
  'other',
  '__proto__',
  'constructor',
];

/** A request for an entry with a bomb in one of its places. */
function entryJson({ n, dice }: Setting): string {
  const bomb = dice.pick(BOMBS)(dice);
  const base = `"fileId":"${fileIdOf(n)}","platforms":["instagram","tiktok"]`;
  const shape = dice.between(0, 3);
  if (shape === 0) return bomb;
  if (shape === 1) return `{${base},"${dice.pick(SETTINGS)}":${bomb}}`;
  if (shape === 2) return `{${base},"${dice.pick(ENTRY_FIELDS)}":${bomb}}`;
  return `{${base},"${dice.pick(SETTINGS)}":{"${dice.pick(SETTING_KEYS)}":${bomb}}}`;
}

const MEDIA = ['/media/videos', '/media/images', '/api/v1/media/images'];

export const jsonBomb: Generator = (setting) => {
  const { dice } = setting;
  const target = dice.pick(MEDIA);
  if (dice.chance(0.6)) {
    const type = dice.pick([
      'application/json',
      'application/json; charset=utf-16',
      'application/json;x',
      'APPLICATION/JSON',
    ]);
    const lines = [`Content-Type: ${type}`];
    return exchange(setting, { method: 'POST', target, lines }, bytesOf(entryJson(setting)));
  }
  const form = formFor(setting, false);
  const bombs = [
    partOf(dice.pick(SETTINGS), dice.pick(BOMBS)(dice)),
    partOf(dice.pick(ENTRY_FIELDS), dice.pick(BOMBS)(dice)),
  ];
  const lines = [`Content-Type: ${form.contentType}`];
  const body = bytesOf(textOf({ ...form, parts: dice.shuffled([...form.parts, ...bombs]) }));
  return exchange(setting, { method: 'POST', target, lines }, body);
};

export const urlencoded: Generator = (setting) => {
  const { n, dice } = setting;
  const pieces = [
    'platforms=%5B%22instagram%22%5D',
    `fileId=${fileIdOf(n)}`,
    '%',
    '%zz=1',
    'a=%ff',
    '=',
    '&&&',
    '__proto__=1',
    'title=%00',
    'fileId=a&fileId=b',
    'title[__proto__]=1',
    `title=${'%41'.repeat(2e3)}`,
    'x=1&'.repeat(3e3),
    '%66ileId=x',
    'youtube=%7B',
  ];
  const body = Array.from({ length: dice.between(0, 6) }, () => dice.pick(pieces)).join('&');
  const lines = ['Content-Type: application/x-www-form-urlencoded'];
  return exchange(setting, { method: 'POST', target: dice.pick(MEDIA), lines }, bytesOf(body));
};

// The server never unpacks these bodies, so the bombs in them do no harm. The last body is a broken gzip stream.
const GZIPPED = [
  gzipSync(Buffer.alloc(4 * 1024 * 1024)),
  gzipSync(Buffer.from(`{"platforms":["instagram"],"title":"${'x'.repeat(1_000_000)}"}`)),
  gzipSync(gzipSync(Buffer.alloc(8 * 1024 * 1024))),
  Buffer.from([0x1f, 0x8b, 8, 0, 0, 0]),
];

export const gzipBomb: Generator = (setting) => {
  const { dice } = setting;
  const target = dice.pick([
    ...MEDIA,
    '/media/chunks',
    '/__admin/rules',
    '/__admin/verify',
    '/__admin/requests/find',
  ]);
  const lines = [
    `Content-Encoding: ${dice.pick(['gzip', 'gzip, gzip', 'deflate', 'br', 'x-gzip', 'identity', 'gzip;q=0'])}`,
    `Content-Type: ${dice.pick(['application/json', 'multipart/form-data; boundary=b', 'application/x-www-form-urlencoded'])}`,
  ];
  return exchange(setting, { method: 'POST', target, lines }, dice.pick(GZIPPED));
};

// The admin plane

/** Texts that are nearly rules, matchers or states. The bomb replaces `%`. */
const ADMIN_SHAPES: Readonly<Record<string, readonly string[]>> = {
  'POST /__admin/rules': [
    '%',
    '[%]',
    '{"fault":%}',
    '{"fault":"close","match":%}',
    '{"fault":"close","when":{"attempt":%}}',
    '{"fault":{"effect":"status","status":%}}',
    '{"fault":"close","match":{"fileId":%}}',
    '{"id":%,"fault":"close"}',
    '{"fault":"close","ttlMs":%}',
    '{"fault":"status@headers:%"}',
    '{"fault":"delay:1ms","times":%}',
    '{"fault":"close","match":{"operation":"uploadChunk","chunkIndex":%}}',
    '{"fault":{"effect":"%","phase":"%"}}',
    '{"fault":"close@body:99999999999999999999"}',
  ],
  'PUT /__admin/rules': [
    '%',
    '[%]',
    '[{"fault":"close"},%]',
    `[${'{"fault":"close"},'.repeat(1_001)}%]`,
    '{"fault":%}',
  ],
  'POST /__admin/verify': [
    '%',
    '{"expect":[%]}',
    '{"expect":[{"match":%,"count":1}]}',
    '{"sequence":%}',
    '{"never":[%]}',
    '{"expect":[{"match":{},"count":%}]}',
    '{"unfiredRules":%}',
  ],
  'POST /__admin/requests/find': ['%', '{"fileId":%}', '{"status":%}', '{"sinceSeq":%}', '{"operation":%}'],
  'POST /__admin/requests/count': ['%', '{"chunkIndex":%}', '{"outcome":%}'],
  'POST /__admin/requests/wait': [
    '{"timeoutMs":0,"count":%}',
    '{"timeoutMs":1,"fileId":%}',
    '[%]',
    '{"timeoutMs":-1,"x":%}',
    '{"timeoutMs":0,"x":%}',
  ],
  'PUT /__admin/clock': ['%', '{"mode":%}', '{"now":%}', '{"advanceMs":%}', '{"mode":"frozen","now":%}'],
  'POST /__admin/reset': ['%', '{"scope":%}', '{"scope":[%]}'],
  'PUT /__admin/state': [
    '%',
    '{"uploads":%}',
    '{"uploads":[%]}',
    '{"media":[%]}',
    '{"fixture":%}',
    '{"fixture":"half-uploaded","fileId":%}',
    '{"format":%}',
    '{"uploads":[{"fileId":%,"totalChunks":1,"chunks":[]}]}',
    '{"uploads":[{"fileId":"s","totalChunks":%,"chunks":[]}]}',
    '{"uploads":[{"fileId":"s","totalChunks":1,"chunks":[{"index":0,"bytes":%}]}]}',
    '{"uploads":[{"fileId":"s","totalChunks":2,"chunks":[{"index":%,"bytes":1}]}]}',
    '{"uploads":[{"fileId":"s","totalChunks":1,"chunks":[{"index":0,"bytes":3,"data":%}]}]}',
    '{"media":[{"type":"video","fields":%,"bytes":1}]}',
    '{"media":[{"type":"video","fields":{"platforms":["youtube"]},"bytes":%}]}',
    '{"uploads":[{"fileId":"s","totalChunks":1,"chunks":[{"index":0,"bytes":1}],"finalize":%}]}',
  ],
};

export const adminBomb: Generator = (setting) => {
  const { dice } = setting;
  const line = dice.pick(Object.keys(ADMIN_SHAPES));
  const [method = '', target = ''] = line.split(' ');
  const shape = dice.pick(ADMIN_SHAPES[line] ?? []);
  // It is a function because `replace` would treat `$` in a text specially.
  let body = shape.replaceAll('%', () => dice.pick(BOMBS)(dice));
  if (dice.chance(0.005)) body = body.padEnd(1_100_000);
  const lines = dice.chance(0.5) ? ['Content-Type: application/json'] : [];
  const query = dice.chance(0.05)
    ? dice.pick(['?namespace=__proto__', '?namespace=../..', '?namespace=a&namespace=b', '?%'])
    : '';
  return exchange(setting, { method, target: target + query, lines }, bytesOf(body));
};

const YAML = [
  '&a [*a]',
  'a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b]',
  '!!js/function "x"',
  '- &x\n  <<: *x',
  '--- \n...\n---',
  '%YAML 1.2',
  '? !!binary x\n: y',
  '{a: b, <<: {c: d}}',
  '- '.repeat(2_000),
  'a:\n'.repeat(500),
];

/** The rules endpoint reads only JSON; YAML is for files. */
export const adminYaml: Generator = (setting): HostileCase => {
  const { dice } = setting;
  const lines = [
    `Content-Type: ${dice.pick(['application/yaml', 'text/yaml', 'application/json', 'text/plain'])}`,
  ];
  const target = dice.pick(['/__admin/rules', '/__admin/verify', '/__admin/state']);
  const method = target.endsWith('state') ? 'PUT' : 'POST';
  return exchange(setting, { method, target, lines }, bytesOf(dice.pick(YAML).repeat(dice.between(1, 20))));
};
