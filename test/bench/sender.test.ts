import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { AnswerReader } from '../../bench/sender/answer-reader.ts';
import { Payloads, poolBytesFor, randomPool } from '../../bench/sender/payloads.ts';
import { readWrk, refusalIn } from '../../bench/sender/wrk.ts';
import { WIRES, type Answer, type ChunkPlace } from '../../bench/wires.ts';

const PLACE: ChunkPlace = { fileId: 'f', location: '/files/x', index: 2, bytes: 10, totalChunks: 5 };

function answer(status: number, headers = '', body = ''): Answer {
  return { status, head: `HTTP/1.1 ${status} \r\n${headers}`, body };
}

describe('the reader of answers', () => {
  const whole = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhello';

  it('gives an answer with its last byte, wherever it was cut', () => {
    for (let cut = 1; cut < whole.length; cut += 1) {
      const reader = new AnswerReader();
      expect(reader.take(Buffer.from(whole.slice(0, cut)))).toBeNull();
      expect(reader.take(Buffer.from(whole.slice(cut)))).toMatchObject({ status: 200, body: 'hello' });
    }
  });

  it('reads one after the other, also those without a body and in chunks', () => {
    const reader = new AnswerReader();
    expect(reader.take(Buffer.from('HTTP/1.1 204 No Content\r\n\r\n'))).toMatchObject({
      status: 204,
      body: '',
    });
    const chunked = 'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n';
    expect(reader.take(Buffer.from(`${chunked}3\r\nabc\r\n`))).toBeNull();
    expect(reader.take(Buffer.from('0\r\n\r\n'))).toMatchObject({ status: 201 });
    expect(reader.take(Buffer.from(whole))).toMatchObject({ status: 200, body: 'hello' });
  });

  it('refuses what it would have to guess at', () => {
    expect(() => new AnswerReader().take(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'))).toThrow('without a length');
    expect(() => new AnswerReader().take(Buffer.from(`${whole}more`))).toThrow('more came than one answer');
  });
});

describe('a form', () => {
  it.each(['form-fields-first', 'form-file-first'] as const)('%s declares the length that it has', (name) => {
    const { head, tail } = WIRES[name].chunk(PLACE, 'localhost');
    const bodyStart = head.indexOf('\r\n\r\n') + 4;
    const [, declared] = /Content-Length: (\d+)/.exec(head) ?? [];
    expect(Number(declared)).toBe(head.length - bodyStart + PLACE.bytes + tail.length);
  });
});

describe('a chunk counts as stored', () => {
  const received = '{"success":true,"data":{"completed":false,"chunkIndex":2},"message":"Chunk received"}';

  it('by the answer for that very chunk only', () => {
    const form = WIRES['form-fields-first'];
    expect(form.isStored(answer(200, '', received), PLACE)).toBe(true);
    expect(form.isStored(answer(200, '', received), { ...PLACE, index: 3 })).toBe(false);
    expect(form.isStored(answer(409, '', received), PLACE)).toBe(false);
    const complete = '{"success":true,"data":{"completed":true,"fileId":"f"},"message":"Upload complete"}';
    expect(form.isStored(answer(200, '', complete), { ...PLACE, index: 4 })).toBe(true);
  });

  it('by the offset that tus answers, the range that uploadx answers', () => {
    expect(WIRES.tus.isStored(answer(204, 'Upload-Offset: 30\r\n'), PLACE)).toBe(true);
    expect(WIRES.tus.isStored(answer(204, 'Upload-Offset: 20\r\n'), PLACE)).toBe(false);
    expect(WIRES.uploadx.isStored(answer(308, 'Range: bytes=0-29\r\n'), PLACE)).toBe(true);
    expect(WIRES.uploadx.isStored(answer(308, 'Range: bytes=0-19\r\n'), PLACE)).toBe(false);
  });
});

describe('payloads', () => {
  it('are unlike their neighbours, the same each time, and hash to what they are', () => {
    const payloads = new Payloads(1000, randomPool(1000));
    const chunks = Array.from({ length: 100 }, (_, index) => Buffer.from(payloads.chunk(index)));
    expect(new Set(chunks.map((chunk) => chunk.toString('latin1'))).size).toBe(100);
    expect(chunks.every((chunk) => chunk.length === 1000)).toBe(true);
    const sha256 = createHash('sha256').update(Buffer.concat(chunks)).digest('hex');
    expect(payloads.sha256(100)).toBe(sha256);
    expect(poolBytesFor(1000)).toBeGreaterThan(1000);
  });
});

describe("wrk's report", () => {
  const report = `Running 2s test @ http://127.0.0.1:1/
  1 threads and 16 connections
  Latency Distribution
     50%  331.00us
     75%  377.00us
     90%    1.20ms
     99%    2.50ms
  92761 requests in 2.00s, 18.05MB read
Requests/sec:  46380.88
`;

  it('is read', () => {
    expect(readWrk(report)).toEqual({ requests: 92761, seconds: 2, p50Ms: 0.331, p99Ms: 2.5 });
    expect(refusalIn(report)).toBeNull();
  });

  it('tells of refusals and broken connections', () => {
    expect(refusalIn(`${report}  Non-2xx or 3xx responses: 12\n`)).toContain('12');
    expect(refusalIn('  Socket errors: connect 0, read 3, write 0, timeout 0\n')).toContain('read 3');
  });

  it('is refused when it is another', () => {
    expect(() => readWrk('unable to connect')).toThrow('wrk said something else');
  });
});
