// transport-replay.test.ts: what curl and browsers re-send by themselves is suspected, what an application does is not.

import { describe, expect, it } from 'vitest';
import type { Body, ExchangeDraft } from '../../src/journal/exchange.ts';
import {
  isTransportReplay,
  lostOriginal,
  type Arrival,
  type Sighting,
} from '../../src/journal/transport-replay.ts';
import { chunk, draft, lostAnswer, statusQuery } from './drafts.ts';

const NEW_CONNECTION = { id: 9, exchange: 1, reused: false };

function seen(exchange: ExchangeDraft, endedMs = 1000, headMark?: string): Sighting {
  return { exchange, beganMs: endedMs - 5, endedMs, headMark };
}

function resent(changes: Partial<ExchangeDraft> = {}): Sighting {
  return seen(draft({ connection: NEW_CONNECTION, ...changes }), 1020);
}

const whole: Body = draft().body;
/** 300 of 500 bytes came, 40 of them of the file. */
const cut: Body = {
  declaredBytes: 500,
  receivedBytes: 300,
  fileBytes: 40,
  parts: [...whole.parts.slice(0, 1), { name: 'file', filename: 'f.mp4', bytes: 40, crc32: 'ffffffff' }],
};

describe('the same POST on a new connection is suspected', () => {
  it('after the answer to it was lost on a reused one', () => {
    expect(isTransportReplay(resent(), [seen(lostAnswer())])).toBe(true);
  });

  it.each(['client-aborted', 'fault-closed', 'fault-reset'] as const)('when it ended %s', (outcome) => {
    const response = { status: 200, bytes: 0 };
    expect(isTransportReplay(resent(), [seen(lostAnswer({ outcome, response }))])).toBe(true);
  });

  it('when the first was cut within the file', () => {
    expect(isTransportReplay(resent(), [seen(lostAnswer({ body: cut, committed: null }))])).toBe(true);
  });

  it('when the first was cut before the form said anything but its upload', () => {
    const nothing = { ...cut, parts: [] };
    expect(isTransportReplay(resent(), [seen(lostAnswer({ body: nothing }))])).toBe(true);
  });

  it('when nothing was read of the first, and its head was the same', () => {
    const unread = lostAnswer({ upload: null, body: { ...cut, receivedBytes: 0, fileBytes: 0, parts: [] } });
    const again = { ...resent(), headMark: 'h1' };
    expect(isTransportReplay(again, [seen(unread, 1000, 'h1')])).toBe(true);
    expect(isTransportReplay(again, [seen(unread, 1000, 'h2')])).toBe(false);
    expect(isTransportReplay(again, [seen(unread)])).toBe(false);
  });

  it('when the first form ended before it named its upload', () => {
    const unnamed = lostAnswer({ upload: { fileId: null, chunkIndex: null, attempt: null } });
    expect(isTransportReplay(resent(), [seen(unnamed)])).toBe(true);
    expect(isTransportReplay(resent({ upload: null }), [seen(lostAnswer({ upload: null }))])).toBe(true);
  });

  it('when other chunks of the upload, and other uploads, came in between', () => {
    const other = draft({ upload: { fileId: 'g', chunkIndex: 0, attempt: 1 } });
    const recent = [seen(chunk(1)), seen(statusQuery({ upload: null })), seen(other), seen(lostAnswer())];
    expect(isTransportReplay(resent(), recent)).toBe(true);
  });

  it('when the end of the first was noticed a moment after the second began', () => {
    expect(isTransportReplay(resent(), [seen(lostAnswer(), 1040)])).toBe(true);
  });
});

describe('it is the client’s own doing', () => {
  it.each<[string, Sighting, Sighting[]]>([
    ['when nothing was sent before', resent(), []],
    ['when it is not a POST', seen(statusQuery({ connection: NEW_CONNECTION })), [seen(lostAnswer())]],
    [
      'when its connection had served an exchange before',
      resent({ connection: { id: 9, exchange: 2, reused: true } }),
      [seen(lostAnswer())],
    ],
    ['when the first was answered', resent(), [seen(draft())]],
    [
      'when the first got the beginning of an answer',
      resent(),
      [seen(lostAnswer({ response: { status: 200, bytes: 10 } }))],
    ],
    [
      'when the first was on a new connection: no transport re-sends then',
      resent(),
      [seen(lostAnswer({ connection: { id: 2, exchange: 1, reused: false } }))],
    ],
    [
      'when both are on one connection',
      resent({ connection: { id: 1, exchange: 1, reused: false } }),
      [seen(lostAnswer())],
    ],
    ['when a status query came in between', resent(), [seen(statusQuery()), seen(lostAnswer())]],
    ['when the chunk was sent once more in between', resent(), [seen(draft()), seen(lostAnswer())]],
    ['when it came late', { ...resent(), beganMs: 1501 }, [seen(lostAnswer())]],
    ['when it began well before the first ended', resent(), [seen(lostAnswer(), 1200)]],
    [
      'when its head is another, such as a new boundary',
      { ...resent(), headMark: 'h2' },
      [seen(lostAnswer(), 1000, 'h1')],
    ],
    ['when the path is another', resent({ path: '/api/v1/media/chunks' }), [seen(lostAnswer())]],
    ['when the operation is another', resent({ operation: 'createVideo' }), [seen(lostAnswer())]],
    ['when the method was another', resent(), [seen(lostAnswer({ method: 'PUT' }))]],
    [
      'when the upload is another',
      resent({ upload: { fileId: 'g', chunkIndex: 0, attempt: 1 } }),
      [seen(lostAnswer())],
    ],
    ['when the upload is not known any more', resent({ upload: null }), [seen(lostAnswer())]],
    ['when the chunk is another', seen(chunk(1, { connection: NEW_CONNECTION }), 1020), [seen(lostAnswer())]],
    [
      'when only the chunk’s number was known, and it is another',
      resent({ upload: null }),
      [seen(lostAnswer({ upload: { fileId: null, chunkIndex: 3, attempt: null } }))],
    ],
  ])('%s', (_, candidate, recent) => {
    expect(isTransportReplay(candidate, recent)).toBe(false);
  });

  const [first = { name: '', bytes: 0, crc32: '' }, file = first] = whole.parts;

  it.each<[string, Body, Body]>([
    ['the declared length', { ...whole, declaredBytes: 501 }, whole],
    [
      'the received length',
      { ...whole, declaredBytes: null, receivedBytes: 501 },
      { ...whole, declaredBytes: null },
    ],
    ['the number of parts', { ...whole, parts: [first, file, first] }, whole],
    ['the CRC-32', { ...whole, parts: [first, { ...file, crc32: '00000000' }] }, whole],
    ['the length of a part', { ...whole, parts: [first, { ...file, bytes: 101 }] }, whole],
    ['a filename', { ...whole, parts: [first, { ...file, filename: 'g.mp4' }] }, whole],
    ['the order of parts', { ...whole, parts: [file, first] }, whole],
    ['fewer parts', { ...whole, parts: [first] }, whole],
    ['a part before the cut', { ...whole, parts: [{ ...first, crc32: '00000000' }, file] }, cut],
    ['less of the part that was cut', { ...whole, parts: [first, { ...file, bytes: 39 }] }, cut],
    ['no part where the cut was', { ...whole, parts: [first] }, cut],
  ])('when the body differs: %s', (_, sent, lost) => {
    expect(isTransportReplay(resent({ body: sent }), [seen(lostAnswer({ body: lost }))])).toBe(false);
  });
});

it('the window can be given', () => {
  const later = { ...resent(), beganMs: 1501 };
  expect(isTransportReplay(later, [seen(lostAnswer())], 600)).toBe(true);
});

describe('a POST whose body is still to come', () => {
  const lost = seen(lostAnswer(), 1000, 'h1');

  function arriving(changes: Partial<ExchangeDraft> = {}, rest: Partial<Arrival> = {}): Arrival {
    const { method, operation, path, upload, body } = draft(changes);
    const exchange = { connection: NEW_CONNECTION, method, operation, path, upload };
    const { declaredBytes } = body;
    return { exchange: { ...exchange, body: { declaredBytes } }, beganMs: 1015, headMark: 'h1', ...rest };
  }

  it('is suspected by its head, length, upload and chunk', () => {
    expect(lostOriginal(arriving(), [lost])).toBe(lost);
    const isCut = seen(lostAnswer({ body: { ...whole, receivedBytes: 0, parts: [] } }), 1000, 'h1');
    expect(lostOriginal(arriving(), [isCut])).toBe(isCut);
    expect(
      lostOriginal(arriving(), [seen(lostAnswer({ body: { ...cut, declaredBytes: 499 } }), 1000, 'h1')]),
    ).toBeNull();
  });

  it('is not by another head, nor where a head is not known', () => {
    expect(lostOriginal(arriving({}, { headMark: 'h2' }), [lost])).toBeNull();
    expect(lostOriginal(arriving(), [seen(lostAnswer())])).toBeNull();
  });

  it('is not for another chunk, after the window, or once the client knew of the loss', () => {
    expect(lostOriginal(arriving({ upload: { fileId: 'f', chunkIndex: 9, attempt: 1 } }), [lost])).toBeNull();
    expect(lostOriginal(arriving({}, { beganMs: 1501 }), [lost])).toBeNull();
    expect(lostOriginal(arriving(), [seen(statusQuery(), 1010), lost])).toBeNull();
  });
});
