// stored-bytes.js: finds out where an upload continues. It is used by the uploaders that can begin at a later chunk than the first.

/**
 * @param status the URL of `GET /media/chunks`, with the fileId
 * @returns the bytes that the server has up to the first gap. 0 when it has none or does not say: then all chunks are sent, and the
 * server answers a chunk that it already has in the same way as the first time.
 */
export async function storedBytes(status, { apiKey, timeoutMs }) {
  try {
    const init = { headers: { 'X-API-Key': apiKey }, signal: AbortSignal.timeout(timeoutMs) };
    const answer = await (await fetch(status, init)).json();
    return answer.data?.currentSize ?? 0;
  } catch {
    return 0;
  }
}
