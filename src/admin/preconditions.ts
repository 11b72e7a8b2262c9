// admin/preconditions.ts: whether a GET or HEAD is meant for the content that is there (RFC 9110 §13). Pure.
//
// There is no Last-Modified: conditions that give a date are not looked at, and an `If-Range` with one never fits (RFC 9110 §13.1.5).
import type { IncomingHttpHeaders } from 'node:http';

const ENTITY_TAGS = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;

/** `failed`: 412. `not-modified`: 304. In the order of RFC 9110 §13.2.2. */
export function judgePreconditions(
  headers: IncomingHttpHeaders,
  tag: string,
): 'met' | 'failed' | 'not-modified' {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers;
  if (ifMatch !== undefined && !names(ifMatch, (given) => given === tag)) return 'failed';
  // A weak tag is as good here as a strong one (RFC 9110 §13.1.2).
  if (ifNoneMatch !== undefined && names(ifNoneMatch, (given) => given.replace(/^W\//, '') === tag))
    return 'not-modified';
  return 'met';
}

/** False: the content is another than the one of which the client has a part, and its `Range` is not looked at. */
export function isRangeMeant({ 'if-range': ifRange }: IncomingHttpHeaders, tag: string): boolean {
  return ifRange === undefined || ifRange === tag;
}

function names(list: string, isMeant: (tag: string) => boolean): boolean {
  return list.trim() === '*' || (list.match(ENTITY_TAGS) ?? []).some(isMeant);
}
