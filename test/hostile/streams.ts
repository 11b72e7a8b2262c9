// hostile/streams.ts: hostile HTTP: unusual heads, lengths that contradict each other, requests hidden in requests, connections
// that end in the middle, and other protocols.
//
// `refused` means what RFC 9112 (§2.2, §5, §6.1, §6.3, §7.1) forbids, or lets the server refuse: where two readers can find two
// different ends of one message, the bytes after it must not become a request.
// Must not know: sockets, what the server answers.
import {
  anyGood,
  bytesOf,
  cutUp,
  FORM_TYPE,
  fileIdOf,
  goodChunk,
  goodForm,
  goodQuery,
  headOf,
  idOf,
  type Fate,
  type Generator,
  type HostileCase,
  type Sent,
  type Setting,
} from './hostile-case.ts';

const CHUNKS = '/media/chunks';

/** One bad request between good ones. */
function amongGood(setting: Setting, bad: { readonly bytes: string; readonly sent: Sent }): HostileCase {
  const { dice } = setting;
  const before = dice.chance(0.35) ? [anyGood(setting, 1)] : [];
  const fateBehind: Fate = bad.sent.fate === 'refused' ? 'never' : bad.sent.fate;
  const behind = [goodQuery(setting, 2, fateBehind)];
  const all = [...before, bad, ...behind];
  return {
    steps: cutUp(setting, all.map(({ bytes }) => bytes).join('')),
    requests: all.map(({ sent }) => sent),
    ending: 'stay',
  };
}

const sentAs = (setting: Setting, [method, target]: readonly [string, string], fate: Fate): Sent => ({
  id: idOf(setting),
  method,
  target,
  fate,
});

// Heads

const ODD_LINES: readonly (readonly [line: string, fate: Fate])[] = [
  ['no colon', 'refused'],
  ['X: a\r\n folded', 'refused'],
  ['X: a\r\n\tfolded', 'refused'],
  [' X: begins with a space', 'refused'],
  ['X : space before the colon', 'refused'],
  ['X: \0', 'refused'],
  ['X\0: y', 'refused'],
  ['X: a\rY: b', 'refused'],
  ['X: a\nY: b', 'refused'],
  ['\rX: y', 'refused'],
  [': no name', 'refused'],
  ['X(y): z', 'refused'],
  ['X\xff: y', 'refused'],
  ['X: \x7f', 'refused'],
  ['X: \x01', 'refused'],
  ['Host: other', 'answered'],
  ['X: \xff\xfe', 'answered'],
  ['X:', 'answered'],
  ['X:y', 'answered'],
  ['X: \t y \t ', 'answered'],
  ['__proto__: x', 'answered'],
  ['constructor: x', 'answered'],
  ['Cookie: __proto__=x; =; ;;', 'answered'],
  ['Authorization: Bearer', 'answered'],
  ['Authorization: Basic \xff', 'answered'],
  ['Accept: */*;q=NaN, text/plain;q=-1', 'answered'],
  ['Range: bytes=0-99999999999999999999', 'answered'],
  ['Origin: \xff', 'answered'],
  ['Connection: keep-alive, x, , close2', 'answered'],
  ['Connection: close', 'answered'],
  ['Expect: 200-ok', 'answered'],
  ['If-None-Match: *', 'answered'],
  ['X-Request-Id: two', 'either'],
  ['X-HTTP-Method-Override: DELETE', 'answered'],
  ['X-Forwarded-Host: evil', 'answered'],
  ['TE: trailers, deflate;q=0.5', 'answered'],
];

export const oddHeader: Generator = (setting) => {
  const { dice } = setting;
  const [line, fate] = dice.pick(ODD_LINES);
  const target = `${CHUNKS}?fileId=${fileIdOf(setting.n)}`;
  const bytes = headOf({ method: 'GET', target, id: idOf(setting), lines: [line] });
  return amongGood(setting, { bytes, sent: sentAs(setting, ['GET', target], fate) });
};

export const headerFlood: Generator = (setting) => {
  const { dice } = setting;
  const target = `${CHUNKS}?fileId=${fileIdOf(setting.n)}`;
  const floods: readonly (readonly [lines: string[], fate: Fate])[] = [
    [Array<string>(dice.between(100, 2_400)).fill('X: y'), 'answered'],
    [Array.from({ length: dice.between(100, 700) }, (_, i) => `X-${i}: y`), 'answered'],
    [Array<string>(dice.between(2_000, 5_000)).fill('X: y'), 'either'],
    [Array<string>(dice.between(2_000, 4_000)).fill('X-Long-Name: some value'), 'refused'],
    [[`X: ${'y'.repeat(dice.between(17_000, 70_000))}`], 'refused'],
    [[`${'N'.repeat(dice.between(17_000, 40_000))}: y`], 'refused'],
    [[`Cookie: ${'a=b; '.repeat(dice.between(4_000, 8_000))}`], 'refused'],
    [[`X: ${'y'.repeat(dice.between(8_000, 14_000))}`], 'answered'],
  ];
  const [lines, fate] = dice.pick(floods);
  // The id stands after the flood: if the server dropped a header silently, the id would be missing.
  const all = ['Host: localhost', ...lines, `X-API-Key: hostile`, `X-Request-Id: ${idOf(setting)}`];
  const bytes = `GET ${target} HTTP/1.1\r\n${all.join('\r\n')}\r\n\r\n`;
  return amongGood(setting, { bytes, sent: sentAs(setting, ['GET', target], fate) });
};

// Targets and methods

const ODD_TARGETS = [
  '/',
  '//',
  '/.',
  '/..',
  '/../..',
  '/media/../__admin/rules',
  '/media/chunks/',
  '/MEDIA/CHUNKS',
  '/media//chunks',
  '/media/./chunks',
  '/%',
  '/%2',
  '/%zz',
  '/media/%ff',
  '/media/videos/%00',
  '/media/videos/%2e%2e',
  '/media/videos/..%2f..',
  '/media/videos/%E0%80%80',
  '/media/%63hunks?fileId=x',
  '/%6dedia/chunks?fileId=x',
  '/media%2Fchunks?fileId=x',
  '/media/chunks;a=b?fileId=x',
  '/media/chunks%3FfileId=x',
  '/media/chunks?',
  '/media/chunks?fileId',
  '/media/chunks?fileId=',
  '/media/chunks?fileId=%',
  '/media/chunks?fileId=%ff',
  '/media/chunks?fileId=%00',
  '/media/chunks?fileId=a&fileId=b',
  '/media/chunks?FILEID=a',
  '/media/chunks?fileId[]=a',
  '/media/chunks?__proto__=a&fileId=b',
  '/media/chunks?constructor=a',
  '/media/chunks?fileId=a#b',
  '/media/chunks?fileId=a?b=c',
  '/media/chunks?&&&=&fileId=a',
  '/media/chunks?fileId=%252e',
  '/media/chunks?fileId=../../x',
  '/media/videos/__proto__',
  '/media/images/constructor',
  '/media/videos/0',
  "/media/videos/'",
  '/media/videos/%F0%9F%98%80',
  '/media/videos/a b%20c',
  '/api/v1',
  '/api/v1/',
  '/api/v1/media/chunks?fileId=x',
  '/api/v1/api/v1/channels',
  '/api/v2/channels',
  '/channels?x=%',
  '/profiles/..;/channels',
  'http://localhost/media/chunks?fileId=x',
  'http://evil.example/channels',
  'https://x:99999/',
  'http://',
  'http:/channels',
  'ftp://x/y',
  '*',
  '/__admin',
  '/__admin/',
  '/__admin/nothing',
  '/__admin/uploads/..%2f..%2fx',
  '/__admin/uploads/%00/content',
  '/__admin/media/__proto__/content',
  '/__admin/requests?limit=1e9',
  '/__admin/requests?limit=-1',
  '/__admin/requests?status=999999999999999999999',
  '/__admin/requests?limit=1&limit=2',
  '/__admin/requests/0',
  '/__admin/requests/99999999999999999999',
  '/__admin/requests/-1',
  '/__admin/requests/1e3',
  '/__admin/rules/__proto__',
  '/__admin/rules/%ff',
  '/__admin/uploads?namespace=%00',
  '/__admin/uploads?namespace=..',
  '/__admin/uploads/x?digest=md5',
  '/__admin/state?bytes=x',
  '/__admin/requests?format=xml',
  '/%5F%5Fadmin/rules',
  '/__admin%2Frules',
  '/__ADMIN/rules',
  'http://x/__admin/rules',
  '/__admin/../media/chunks',
  '/favicon.ico',
  '/.git/config',
].filter((target) => !target.includes(' '));

const METHODS = [
  'GET',
  'POST',
  'PUT',
  'DELETE',
  'PATCH',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PURGE',
  'PROPFIND',
  'SEARCH',
  'MKCOL',
  'LOCK',
  'QUERY',
  'M-SEARCH',
];

export const oddTarget: Generator = (setting) => {
  const { dice, n } = setting;
  const long = (): string =>
    dice.pick([
      `/media/videos/${'a'.repeat(dice.between(1_000, 15_000))}`,
      `${CHUNKS}?fileId=${'%41'.repeat(dice.between(100, 5_000))}`,
      `${CHUNKS}?${'a=b&'.repeat(3_000)}fileId=x`,
      `/${'../'.repeat(dice.between(10, 4_000))}etc`,
    ]);
  const target = dice.chance(0.15) ? long() : dice.pick(ODD_TARGETS);
  // Some readers see no target at all; and the refusal of a connection has a body, even for a HEAD.
  const isUnclear = target === 'http:/channels' || target === 'http://';
  const method = isUnclear || dice.chance(0.6) ? 'GET' : dice.pick(METHODS);
  const sent = sentAs(setting, [method, target], isUnclear || method === 'QUERY' ? 'either' : 'answered');
  const lines = ['POST', 'PUT', 'PATCH', 'DELETE'].includes(method) ? ['Content-Length: 0'] : [];
  return {
    steps: cutUp({ n, dice }, headOf({ ...sent, id: idOf(setting), lines })),
    requests: [sent],
    ending: 'stay',
  };
};

const ODD_REQUEST_LINES: readonly (readonly [line: string, fate: Fate])[] = [
  ['GET', 'refused'],
  ['GET /', 'either'],
  ['GET / HTTP/1.1 x', 'refused'],
  ['GET  /media/chunks HTTP/1.1', 'either'],
  ['GET\t/media/chunks\tHTTP/1.1', 'refused'],
  ['GET / HTTP/2.0', 'refused'],
  ['GET / HTTP/1.9', 'either'],
  ['GET / HTTP/1.', 'refused'],
  ['GET / HTTP/11.1', 'refused'],
  ['GET / http/1.1', 'refused'],
  ['GET / HTTPS/1.1', 'refused'],
  ['get / HTTP/1.1', 'refused'],
  ['FOO / HTTP/1.1', 'refused'],
  ['G\0T / HTTP/1.1', 'refused'],
  ['GET /\0 HTTP/1.1', 'refused'],
  ['GET /\x7f HTTP/1.1', 'refused'],
  ['GET /a b HTTP/1.1', 'refused'],
  [' GET / HTTP/1.1', 'refused'],
  ['GET / ICE/1.0', 'refused'],
  ['CONNECT localhost:443 HTTP/1.1', 'refused'],
  ['CONNECT / HTTP/1.1', 'refused'],
  ['PRI * HTTP/2.0', 'refused'],
  ['\xff\xfe / HTTP/1.1', 'refused'],
  [`${'G'.repeat(20_000)} / HTTP/1.1`, 'refused'],
  [`GET /${'a'.repeat(20_000)} HTTP/1.1`, 'refused'],
];

export const oddRequestLine: Generator = (setting) => {
  const [line, fate] = setting.dice.pick(ODD_REQUEST_LINES);
  const bytes = `${line}\r\nHost: localhost\r\nX-Request-Id: ${idOf(setting)}\r\n\r\n`;
  const [method = '', target = ''] = line.split(/ +/);
  return amongGood(setting, { bytes, sent: sentAs(setting, [method, target], fate) });
};

// Messages with two possible ends

interface Shape {
  readonly lines: readonly string[];
  /** `form`: a good chunk's. */
  readonly body: (form: string) => string;
  readonly fate: Fate;
}

const chunked = (form: string): string => `${form.length.toString(16)}\r\n${form}\r\n0\r\n\r\n`;
const shape = (lines: readonly string[], body: Shape['body'], fate: Fate): Shape => ({ lines, body, fate });
const lengthOf = (text: string): Shape => shape([`Content-Length: ${text}`], (form) => form, 'refused');
const coding = (...lines: string[]): Shape => shape(lines, chunked, 'refused');
const pieces = (body: Shape['body'], fate: Fate): Shape => shape(['Transfer-Encoding: chunked'], body, fate);
const hex = (form: string): string => form.length.toString(16);

const SHAPES: readonly Shape[] = [
  // Both (RFC 9112 §6.1)
  shape(['Content-Length: 6', 'Transfer-Encoding: chunked'], () => '0\r\n\r\n', 'refused'),
  shape(['Transfer-Encoding: chunked', 'Content-Length: 4'], chunked, 'refused'),
  shape(['Content-Length: 0', 'Transfer-Encoding:'], () => '', 'refused'),
  shape(['Transfer-Encoding:', 'Content-Length: 5'], () => 'hello', 'refused'),
  shape(['Content-Length: 5', 'Transfer-Encoding: identity'], () => 'hello', 'refused'),
  // Codings (RFC 9112 §6.1, §7)
  ...[
    'xchunked',
    'chunkedx',
    'chunked, identity',
    'identity',
    'chunked, chunked',
    'chunked;q=1',
    '"chunked"',
    'chunked,',
    ', chunked x',
  ].map((value) => coding(`Transfer-Encoding: ${value}`)),
  coding('Transfer-Encoding : chunked'),
  coding('Transfer-Encoding: \x0bchunked'),
  coding('Transfer-Encoding: \0chunked'),
  coding('Transfer-Encoding:\r\n chunked'),
  coding('Transfer-Encoding: chunked', 'Transfer-Encoding: identity'),
  coding('Transfer-Encoding: x', 'Transfer-Encoding: chunked', 'Content-Length: 3'),
  coding('X: y\nTransfer-Encoding: chunked'),
  coding('X: y\rTransfer-Encoding: chunked'),
  coding('Transfer\xadEncoding: chunked', 'Content-Length: x'),
  shape(['Transfer-Encoding:'], () => '', 'refused'),
  shape(['Transfer-Encoding: ,'], () => '', 'refused'),
  shape(['Transfer-Encoding: CHUNKED'], chunked, 'answered'),
  shape(['transfer-encoding:chunked'], chunked, 'answered'),
  shape(['Transfer-Encoding: gzip, chunked'], chunked, 'answered'),
  // Lengths (RFC 9112 §6.3)
  ...[
    '+5',
    '-5',
    '5 5',
    '5,5',
    '5, 6',
    '0x5',
    '5.0',
    '5e0',
    'five',
    '',
    '٥',
    '1_0',
    '5;',
    '\x0b5',
    '99999999999999999999',
    `1${'0'.repeat(30)}`,
    '18446744073709551616',
    '-0',
    '٠',
  ].map((text) => lengthOf(Buffer.from(text).toString('latin1'))),
  shape(['Content-Length: 5', 'Content-Length: 5'], () => 'hello', 'refused'),
  shape(['Content-Length: 5', 'Content-Length: 50'], () => 'hello', 'refused'),
  shape(['Content-Length : 5'], () => 'hello', 'refused'),
  shape(['Content-Length:\r\n 5'], () => 'hello', 'refused'),
  shape(['Content-Length:  5 '], () => 'hello', 'answered'),
  shape(['Content-Length: 5\t'], () => 'hello', 'either'),
  shape(['content-length:00005'], () => 'hello', 'answered'),
  // Chunks (§7.1)
  pieces((form) => `${hex(form)};ext=1;"a b";c="d;e"\r\n${form}\r\n0;last\r\n\r\n`, 'either'),
  pieces((form) => `${hex(form)};ext=1\r\n${form}\r\n0\r\n\r\n`, 'answered'),
  pieces((form) => `000${hex(form)}\r\n${form}\r\n0\r\n\r\n`, 'answered'),
  pieces((form) => `${hex(form).toUpperCase()}\r\n${form}\r\n000\r\n\r\n`, 'answered'),
  pieces((form) => `${hex(form)}\r\n${form}\r\n0\r\nX-Trailer: y\r\n\r\n`, 'answered'),
  pieces(
    (form) =>
      `${hex(form)}\r\n${form}\r\n0\r\nX-Request-Id: smuggled\r\nX-API-Key: other\r\nHost: evil\r\n\r\n`,
    'answered',
  ),
  pieces((form) => `${hex(form)}\r\n${form}\r\n0\r\nContent-Length: 50\r\n\r\n`, 'either'),
  pieces((form) => `${hex(form)}\r\n${form}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n`, 'either'),
  pieces((form) => `${hex(form)}\r\n${form}\r\n0\r\nno colon\r\n\r\n`, 'refused'),
  pieces((form) => `${hex(form)}\r\n${form}\r\n0\r\nX: \0\r\n\r\n`, 'refused'),
  pieces((form) => `${hex(form)};${'e'.repeat(20_000)}\r\n${form}\r\n0\r\n\r\n`, 'refused'),
  pieces((form) => `${hex(form)}\r\n${form}\r\n0\r\n${'X: y\r\n'.repeat(5_000)}\r\n`, 'either'),
  ...[' ', '\t', '+', '-', '0x', ';', 'g', '\0', '\r', '\n'].map((prefix) =>
    pieces((form) => `${prefix}${hex(form)}\r\n${form}\r\n0\r\n\r\n`, 'refused'),
  ),
  ...[' ', '\t', 'h', '.0', ' ;x', '\0'].map((suffix) =>
    pieces(
      (form) => `${hex(form)}${suffix}\r\n${form}\r\n0\r\n\r\n`,
      suffix === ' ;x' ? 'either' : 'refused',
    ),
  ),
  pieces((form) => `${hex(form)}\n${form}\r\n0\r\n\r\n`, 'refused'),
  pieces((form) => `${hex(form)}\r${form}\r\n0\r\n\r\n`, 'refused'),
  pieces((form) => `${hex(form)};\n${form}\r\n0\r\n\r\n`, 'refused'),
  pieces((form) => `${hex(form)}\r\n${form}\n0\r\n\r\n`, 'refused'),
  pieces((form) => `${hex(form)}\r\n${form}0\r\n\r\n`, 'refused'),
  pieces((form) => `${hex(form)}\r\n${form}XX0\r\n\r\n`, 'refused'),
  pieces((form) => `fffffffffffffffff\r\n${form}\r\n0\r\n\r\n`, 'refused'),
  pieces((form) => `10000000000000000${hex(form)}\r\n${form}\r\n0\r\n\r\n`, 'refused'),
  pieces((form) => `${hex(form)}\r\n${form}\r\nzz\r\n`, 'refused'),
  pieces((form) => `${hex(form)}\r\n${form}\r\n\r\n0\r\n\r\n`, 'refused'),
];

export const smuggling: Generator = (setting) => {
  const { dice, n } = setting;
  const { lines, body, fate } = dice.pick(SHAPES);
  const target = dice.pick([CHUNKS, CHUNKS, '/media/videos', '/nowhere', '/__admin/verify']);
  const form = goodForm(fileIdOf(n));
  const head = headOf({ method: 'POST', target, id: idOf(setting), lines: [FORM_TYPE, ...lines] });
  return amongGood(setting, { bytes: head + body(form), sent: sentAs(setting, ['POST', target], fate) });
};

/** A good request whose body looks like more requests. */
export const hiddenRequest: Generator = (setting) => {
  const { dice } = setting;
  const hidden = anyGood(setting, 3, 'never');
  const [method, target] = dice.pick([
    ['POST', CHUNKS],
    ['GET', `${CHUNKS}?fileId=x`],
    ['POST', '/nowhere'],
    ['DELETE', CHUNKS],
    ['POST', '/__admin/verify'],
    ['GET', '/__admin/health'],
    ['OPTIONS', CHUNKS],
  ] as const);
  const type = dice.chance(0.5) ? [FORM_TYPE] : [];
  const isCoded = dice.chance(0.4);
  const lines = [...type, isCoded ? 'Transfer-Encoding: chunked' : `Content-Length: ${hidden.bytes.length}`];
  const body = isCoded ? chunked(hidden.bytes) : hidden.bytes;
  const bad = headOf({ method, target, id: idOf(setting), lines }) + body;
  const behind = goodQuery(setting, 2);
  return {
    steps: cutUp(setting, bad + behind.bytes),
    requests: [sentAs(setting, [method, target], 'answered'), behind.sent],
    ending: 'stay',
  };
};

const ABSURD_LENGTHS = [
  '1048577',
  '2000000',
  '5368709121',
  '9007199254740991',
  '9007199254740993',
  '9223372036854775807',
  '18446744073709551615',
];

/** Announces more than the server accepts, and sends hardly any of it. */
export const absurdLength: Generator = (setting) => {
  const { dice } = setting;
  const length = dice.pick(ABSURD_LENGTHS);
  const target = dice.pick([
    CHUNKS,
    '/media/videos',
    '/media/images',
    '/__admin/rules',
    '/__admin/state',
    '/nowhere',
  ]);
  const method = target === '/__admin/state' ? 'PUT' : 'POST';
  const type = dice.pick([FORM_TYPE, 'Content-Type: application/json']);
  const head = headOf({ method, target, id: idOf(setting), lines: [type, `Content-Length: ${length}`] });
  const hidden = dice.chance(0.5)
    ? goodQuery(setting, 2, 'never').bytes
    : goodForm(fileIdOf(setting.n)).slice(0, 40);
  return {
    steps: cutUp(setting, head + hidden),
    requests: [sentAs(setting, [method, target], 'either')],
    ending: dice.pick(['half-close', 'reset']),
  };
};

// Behind one another

export const pipelining: Generator = (setting) => {
  const { dice } = setting;
  const isDeep = dice.chance(0.05);
  const depth = isDeep ? dice.between(102, 160) : dice.between(2, 12);
  // When more than a hundred requests wait, the server may end the connection.
  const all = Array.from({ length: depth }, (_, k) => anyGood(setting, k, isDeep ? 'either' : 'answered'));
  const text = all.map(({ bytes }) => bytes).join('');
  const requests = all.map(({ sent }) => sent);
  if (!isDeep && dice.chance(0.3)) {
    const garbage = dice.pick([
      'garbage\r\n\r\n',
      '\0\0\0\0',
      'GET / HTTP/1.1\r\nno colon\r\n\r\n',
      '}\r\n\r\n',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
    ]);
    const refused: Sent = { id: null, method: 'GET', target: '/', fate: 'refused' };
    return { steps: cutUp(setting, text + garbage), requests: [...requests, refused], ending: 'stay' };
  }
  const blank = dice.chance(0.1) ? '\r\n' : ''; // RFC 9112 §2.2: a server ignores an empty line before a request.
  return { steps: cutUp(setting, blank + text), requests, ending: 'stay' };
};

// Connections that end

export const halfClosed: Generator = (setting) => {
  const { dice } = setting;
  const good = anyGood(setting, 0);
  const cut = dice.between(0, good.bytes.length);
  const isCut = dice.chance(0.6) && cut < good.bytes.length;
  const text = isCut ? good.bytes.slice(0, cut) : good.bytes;
  return {
    steps: cutUp(setting, text),
    // Node takes a FIN for a client that has left, even after a complete request.
    requests: [{ ...good.sent, fate: 'either' }],
    ending: 'half-close',
  };
};

export const torn: Generator = (setting) => {
  const { dice } = setting;
  const all = [anyGood(setting, 0, 'either'), anyGood(setting, 1, 'either')];
  const text = all.map(({ bytes }) => bytes).join('');
  const steps = cutUp(setting, text.slice(0, dice.between(0, text.length)));
  if (dice.chance(0.3)) steps.push({ pauseMs: dice.between(0, 3) });
  return { steps, requests: all.map(({ sent }) => sent), ending: 'reset' };
};

// Other protocols

const SOCKET_KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
const UPGRADES = [
  ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', SOCKET_KEY],
  ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA'],
  ['Connection: Upgrade', 'Upgrade: TLS/1.0'],
  ['Upgrade: websocket'],
  ['Connection: upgrade', 'Upgrade: \xff'],
];

/** The server may ignore this invitation: then it serves the request as it is (RFC 9110 §7.8). */
export const upgrade: Generator = (setting) => {
  const { dice } = setting;
  const lines = dice.pick(UPGRADES);
  const isChunk = dice.chance(0.4);
  const form = goodForm(fileIdOf(setting.n));
  const [method, target] = isChunk
    ? ['POST', CHUNKS]
    : ['GET', dice.pick([`${CHUNKS}?fileId=x`, '/', '/__admin/events/ws', '/channels'])];
  const more = isChunk ? [FORM_TYPE, `Content-Length: ${form.length}`] : [];
  const text =
    headOf({ method, target, id: idOf(setting), lines: [...lines, ...more] }) + (isChunk ? form : '');
  const behind = dice.chance(0.5) ? [goodQuery(setting, 1)] : [];
  return {
    steps: cutUp(setting, text + behind.map(({ bytes }) => bytes).join('')),
    requests: [sentAs(setting, [method, target], 'answered'), ...behind.map(({ sent }) => sent)],
    ending: 'stay',
  };
};

const FOREIGN = [
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0',
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  '\x80\x2e\x01\x03\x01\x00\x15\x00\x00',
  'SSH-2.0-OpenSSH_9.0\r\n',
  '\x05\x01\x00',
  'EHLO localhost\r\n',
  '*1\r\n$4\r\nPING\r\n',
  'RTSP/1.0 200 OK\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  'PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n',
  '\0'.repeat(100),
  '\xff'.repeat(5_000),
  '<policy-file-request/>\0',
  '{"jsonrpc":"2.0"}\r\n\r\n',
];

export const foreignProtocol: Generator = (setting) => {
  const { dice } = setting;
  const text = dice.chance(0.8) ? dice.pick(FOREIGN) : dice.bytes(dice.between(1, 200)).toString('latin1');
  return {
    steps: cutUp(setting, text),
    requests: [{ id: null, method: '?', target: '?', fate: 'refused' }],
    ending: 'half-close',
  };
};

// Silence, on a server of little patience

/** How long a busy machine needs for sending is not tested, so a time-out is right for each of them. */
export const slow: Generator = (setting) => {
  const { dice } = setting;
  const good = goodChunk(setting, 0, 'either');
  const headBytes = good.bytes.indexOf('\r\n\r\n') + 4;
  const [head, body] = [good.bytes.slice(0, headBytes), good.bytes.slice(headBytes)];
  const shapes: readonly (() => HostileCase['steps'])[] = [
    () => [bytesOf(head.slice(0, dice.between(1, headBytes - 1)))],
    () => drip(head, 20, 60),
    () => [bytesOf(good.bytes.slice(0, dice.between(headBytes, good.bytes.length - 1)))],
    () => [bytesOf(head), ...drip(body, 8, 60)],
  ];
  return { steps: dice.pick(shapes)(), requests: [good.sent], ending: 'leave' };
};

function drip(text: string, count: number, pauseMs: number): HostileCase['steps'] {
  const size = Math.ceil(text.length / count);
  return Array.from({ length: count }, (_, i) => bytesOf(text.slice(i * size, (i + 1) * size))).flatMap(
    (piece) => [piece, { pauseMs }],
  );
}

/** A body in two halves, for `Expect`. */
export const expectation: Generator = (setting) => {
  const { dice } = setting;
  const form = goodForm(fileIdOf(setting.n));
  const value = dice.pick(['100-continue', '100-Continue', '100-continue, 100-continue', '200-ok', '']);
  const lines = [FORM_TYPE, `Content-Length: ${form.length}`, `Expect: ${value}`];
  const target = dice.pick([CHUNKS, '/nowhere', '/media/videos']);
  const head = headOf({ method: 'POST', target, id: idOf(setting), lines });
  const sent = sentAs(setting, ['POST', target], 'answered');
  return { steps: [bytesOf(head), { pauseMs: 0 }, bytesOf(form)], requests: [sent], ending: 'stay' };
};
