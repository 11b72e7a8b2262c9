// explain.test.ts: the sentence of a rule says everything that its meaning depends on.

import { expect, it } from 'vitest';
import { explain } from '../../src/faults/explain.ts';
import { parseRules } from '../../src/faults/rules.ts';

function sentenceOf(json: Readonly<Record<string, unknown>>): string {
  const [sentence] = parseRules({ fault: 'reset', ...json }, () => 'x').map(explain);
  return sentence ?? '';
}

it('a lost answer is told as in the handbook', () => {
  const rule = {
    match: { operation: 'uploadChunk', fileId: '*', chunkIndex: 2 },
    when: { attempt: 1 },
    fault: 'reset@post-commit',
  };
  expect(sentenceOf(rule)).toBe(
    'On the 1st attempt of chunk 2 of any upload, once: after the chunk is stored, reset the connection without an answer.',
  );
});

it.each([
  [{}, 'any request'],
  [{ operation: 'getUploadStatus' }, 'a status query of any upload'],
  [{ operation: 'uploadChunk' }, 'any chunk of any upload'],
  [{ chunkIndex: 'first' }, 'chunk 0 of any upload'],
  [{ chunkIndex: 'last', fileId: 'a "b"' }, 'the last chunk of upload "a \\"b\\""'],
  [{ chunkIndex: { from: 1, to: 3 }, fileId: 'vid-*' }, 'chunks 1 to 3 of any upload like "vid-*"'],
  [{ chunkIndex: { from: 1 } }, 'chunks from 1 on of any upload'],
  [{ operation: 'createVideo' }, 'making a video'],
  [{ operation: 'createImage', fileId: 'a' }, 'making an image from upload "a"'],
  [{ operation: 'getVideo' }, 'reading a video'],
  [{ operation: 'listProfiles' }, 'listing the profiles'],
  [{ mediaType: 'image' }, 'any request (createImage, getImage)'],
  [{ fileId: 'a' }, 'any request (getUploadStatus, uploadChunk, createVideo, createImage) for upload "a"'],
])('matching %j is "%s"', (match, subject) => {
  expect(sentenceOf({ match })).toBe(
    `On ${subject}, once: before the body is read, reset the connection without an answer.`,
  );
});

it.each([
  [{ when: { attempt: '1-3' } }, 'On attempts 1 to 3 of any request, once:'],
  [{ when: { attempt: [1, 3, 5] } }, 'On attempts 1, 3 and 5 of any request, once:'],
  [{ when: { attempt: 2 } }, 'On the 2nd attempt of any request, once:'],
  [{ when: { attempt: 3 } }, 'On the 3rd attempt of'],
  [{ when: { attempt: 4 } }, 'On the 4th attempt of'],
  [{ when: { attempt: 11 } }, 'On the 11th attempt of'],
  [{ when: { attempt: 22 } }, 'On the 22nd attempt of'],
  [{ when: { attempt: 112 } }, 'On the 112th attempt of'],
  [{ when: { nth: 2 } }, 'On any request, only at the 2nd match, once:'],
  [
    { when: { nth: '3-', skip: 1 } },
    'On any request, letting the first pass, only at matches from 3 on, once:',
  ],
  [
    { when: { skip: 2, probability: 0.25 }, times: 2 },
    'letting the first 2 pass, with a probability of 0.25, twice:',
  ],
  [
    { times: 2, ignoreReplays: true, ttlMs: '90s' },
    'On any request, twice, not counting requests that a transport repeats, which are hit again, within 90s of arming:',
  ],
  [{ times: 'always', ttlMs: '90s' }, 'On any request, every time, within 90s of arming:'],
  [{ times: 3, ttlMs: '48h' }, 'On any request, 3 times, within 2d of arming:'],
])('%j begins "%s"', (json, beginning) => {
  expect(sentenceOf(json)).toContain(beginning);
});

it.each([
  [
    'close@pre-commit',
    'with the whole body read and nothing stored, close the connection without an answer.',
  ],
  ['close@body', 'before the first byte of the file, close the connection without an answer.'],
  ['reset@body:1', 'after 1 byte of the file, reset the connection without an answer.'],
  ['reset@body:1000', 'after 1000 bytes of the file, reset'],
  ['reset@body:1536', 'after 1536 bytes of the file, reset'],
  ['reset@body:256KiB', 'after 256KiB of the file, reset'],
  ['reset@response:10', 'after 10 bytes of the answer’s body, reset the connection.'],
  ['reset@post-commit', 'after what came is stored, reset'],
  ['stall', 'go silent until the client leaves.'],
  ['stall:250', 'go silent for 250ms, then close the connection.'],
  ['delay:1h', 'wait 1h, then go on.'],
  ['delay:1m,jitterMs=50', 'wait 1m and up to 50ms more, then go on.'],
  ['status:503', 'answer 503.'],
  ['status:503,retryAfter=2,closing', 'answer 503 with Retry-After: 2, then close the connection.'],
  ['status:502,html,body=x', 'answer 502 with a proxy’s HTML page and a body of the rule’s own.'],
  ['throttle:64KiB/s', 'while the body is read, read the request at 64KiB per second.'],
  ['throttle@response:100', 'when it is answered, send the answer at 100 bytes per second.'],
  ['truncate', 'when it is answered, send half of it and close the connection.'],
  ['truncate:10', 'after 10 bytes of the answer’s body, close the connection.'],
  ['empty', 'leave the answer’s body empty.'],
  ['garbage', 'when it is answered, send 256 bytes of garbage instead and close the connection.'],
  [
    'MALFORMED_RESPONSE_CHUNK',
    'before the first byte of the answer’s body, send 256 bytes of garbage and close',
  ],
  ['late-commit:2s', 'answer 503 and store it 2s later all the same.'],
  ['crash@post-commit', 'after what came is stored, kill the server process without an answer.'],
  ['crash@response:7', 'after 7 bytes of the answer’s body, kill the server process.'],
  ['forget', 'forget the upload as if it had expired, then go on.'],
  ['stale-status', 'answer with the state from before the last stored chunk.'],
  ['fail-publish:youtube', 'after the entry is stored, let its youtube end as failed.'],
  ['fail-publish:tiktok,reason=quota', 'let its tiktok end as failed ("quota").'],
])('%s ends "%s"', (fault, end) => {
  expect(sentenceOf({ fault })).toContain(end);
});
