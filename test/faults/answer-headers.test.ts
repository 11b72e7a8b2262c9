// answer-headers.test.ts: a `status` fault can give its answer any header of a real service. A header that would break the frame of
// the answer, or that the fault sets itself, is refused with its pointer.
import { describe, expect, it } from 'vitest';
import { parseRules } from '../../src/faults/rules.ts';
import { explain } from '../../src/faults/explain.ts';
import { AppError } from '../../src/core/errors.ts';
import { openFaultServer } from '../helpers/exchanges.ts';

function problemsOf(fault: object): unknown {
  try {
    parseRules({ fault: { effect: 'status', status: 429, ...fault } }, () => 'r');
    return [];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const { problems } = error.details as { problems: { pointer: string; message: string }[] };
    return problems.map(({ pointer, message }) => `${pointer}: ${message}`);
  }
}

describe('headers of a status fault (§10.11)', () => {
  it('reach the client, each line of a list as a line, beside what the server says', async () => {
    const server = await openFaultServer();
    server.double.namespace('k').rules.add({
      id: 'limit',
      fault: {
        effect: 'status',
        status: 429,
        headers: {
          Location: '/elsewhere?a=b,c',
          'WWW-Authenticate': ['Bearer realm="a, b"', 'Basic'],
          'X-RateLimit-Remaining': 0,
          'content-type': 'text/plain; charset=utf-8',
        },
        body: 'slow down',
      },
    });
    const answer = await fetch(`${server.double.url}/media/chunks?fileId=f`, {
      headers: { 'x-api-key': 'k' },
    });
    expect([answer.status, await answer.text()]).toEqual([429, 'slow down']);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      location: '/elsewhere?a=b,c',
      'www-authenticate': 'Bearer realm="a, b", Basic',
      'x-ratelimit-remaining': '0',
      'content-type': 'text/plain; charset=utf-8',
      'content-length': '9',
      'x-mock-fault': 'limit',
    });
  });

  it('are in the sentence of the rule', () => {
    const fault = { effect: 'status', status: 302, headers: { location: '/x', 'x-ratelimit-reset': [1, 2] } };
    expect(parseRules({ fault }, () => 'r').map(explain)[0]).toContain(
      'answer 302 with Location: /x and X-Ratelimit-Reset: 1 and X-Ratelimit-Reset: 2.',
    );
  });

  it.each([
    [{ 'Content-Length': '3' }, '/fault/headers/Content-Length: cannot be set: it frames the answer'],
    [{ 'transfer-ENCODING': 'x' }, '/fault/headers/transfer-ENCODING: cannot be set: it frames the answer'],
    [{ Connection: 'close' }, '/fault/headers/Connection: cannot be set: it ends or keeps the connection'],
    [{ 'Keep-Alive': '1' }, '/fault/headers/Keep-Alive: cannot be set'],
    [{ 'X-Mock-Fault': 'other' }, '/fault/headers/X-Mock-Fault: cannot be set'],
    [{ 'a b': 'x' }, '/fault/headers/a b: is not a header name'],
    [{ 'a/b': 'x' }, '/fault/headers/a~1b: is not a header name'],
    [{ '': 'x' }, '/fault/headers/: is not a header name'],
    [{ A: 'x', a: 'y' }, '/fault/headers/a: given twice'],
    [{ A: 'x\r\nSet-Cookie: y' }, '/fault/headers/A: expected Latin-1 text without control characters'],
    [{ A: 'x\0' }, '/fault/headers/A: expected Latin-1 text'],
    [{ A: '€' }, '/fault/headers/A: expected Latin-1 text'],
    [{ A: ['x', 'y\n'] }, '/fault/headers/A/1: expected Latin-1 text'],
    [{ A: {} }, '/fault/headers/A: expected a text, or a list of texts'],
    [{ A: [] }, '/fault/headers/A: '],
    [{ A: 'x'.repeat(9000) }, '/fault/headers: got 9001 characters; at most 8192'],
    [
      Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`A${at}`, 'x'])),
      '/fault/headers: got 33 names; at most 32',
    ],
    ['Location: /x', '/fault/headers: expected an object such as {"Location": "/elsewhere"}'],
  ])('that cannot be sent are refused by their pointer, case %#', (headers, sentence) => {
    expect(problemsOf({ headers })).toEqual([expect.stringContaining(sentence)]);
  });

  it('say when to come back once only', () => {
    expect(problemsOf({ retryAfter: 2, headers: { 'Retry-After': '3' } })).toEqual([
      '/fault/retryAfter: the same as Retry-After of headers; give only one of them',
    ]);
    expect(problemsOf({ headers: { 'Retry-After': '3' } })).toEqual([]);
  });
});
