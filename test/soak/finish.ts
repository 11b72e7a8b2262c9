// soak/finish.ts: the end of an upload: it is finalised, by one request or by many at once, and its entry is compared with what was
// sent.
//
// Promises: an entry counts as verified when all of its bytes were read back and are those that were sent, and there is only one
// entry.
import { createHash } from 'node:crypto';
import { parsed, type Call, type Client, type Outcome } from './client.ts';
import { sha256Of } from './content.ts';
import { fieldParts, formOf } from '../helpers/multipart.ts';
import type { Upload } from './upload.ts';

/** The id of the entry when it is made and verified; null: send what is missing, and then try again. */
export async function finish(client: Client, upload: Upload, finalisers: number): Promise<string | null> {
  upload.finalising(Date.now());
  const call = finaliseCall(client, upload);
  const outcomes = await Promise.all(Array.from({ length: finalisers }, () => client.call(call)));
  if (outcomes.some(({ kind }) => kind === 'refusal')) begunAnew(client, upload);
  const entries = outcomes.flatMap((outcome) => (outcome.kind === 'success' ? [entryIn(outcome)] : []));
  const [first] = entries;
  if (first === undefined) return null;
  holdOnce(client, upload, entries);
  upload.finalised(first.id);
  return (await verify(client, upload, first.id)) ? first.id : null;
}

interface Answered {
  readonly id: string;
  readonly isNew: boolean;
}

function entryIn({ body, status }: Extract<Outcome, { kind: 'success' }>): Answered {
  return { id: (parsed(body) as { data: { id: string } }).data.id, isNew: status === 201 };
}

/** There is one entry, however many clients ask and however often (F6). */
function holdOnce(client: Client, upload: Upload, entries: readonly Answered[]): void {
  const { fileId } = upload.plan;
  const ids = new Set([...entries.map(({ id }) => id), ...(upload.mediaId === null ? [] : [upload.mediaId])]);
  const times = entries.filter(({ isNew }) => isNew).length;
  if (ids.size > 1 || times > 1)
    client.problem(
      `${fileId} was finalised more than once: ${times} times 201, entries ${[...ids].join(', ')}`,
    );
}

function finaliseCall(client: Client, upload: Upload): Call {
  const { fileId } = upload.plan;
  const [kind, platform] = fileId.length % 2 === 0 ? ['videos', 'youtube'] : ['images', 'instagram'];
  const asked = { fileId, platforms: [platform], title: `soak ${fileId}` };
  const isForm = client.dice.chance(0.5);
  const asJson = { contentType: 'application/json', body: Buffer.from(JSON.stringify(asked)) };
  const fields = fieldParts({ ...asked, platforms: JSON.stringify(asked.platforms) });
  // The upload is gone, or was begun again and is not complete. That is right only if its time was over or a rule removed it.
  const refusals = (): string[] =>
    upload.mayBeGone(Date.now()) ? ['upload_not_found', 'upload_incomplete'] : [];
  return {
    what: `the finalise of ${fileId}`,
    method: 'POST',
    path: `/media/${kind}`,
    ...(isForm ? formOf(fields) : asJson),
    refusals,
  };
}

function begunAnew({ site }: Client, upload: Upload): void {
  site.world.record.counts[upload.plan.isForgettable ? 'forgotten' : 'expired'] += 1;
  upload.retire();
}

async function verify(client: Client, upload: Upload, mediaId: string): Promise<boolean> {
  const { counts } = client.site.world.record;
  const { fileId } = upload.plan;
  const content = await client.call(adminGet(`/media/${mediaId}/content`));
  const list = await client.call(adminGet('/media'));
  if (content.kind !== 'success' || list.kind !== 'success') return false;
  const got = createHash('sha256').update(content.body).digest('hex');
  const expected = sha256Of(upload.plan.seed, fileId, upload.plan.sizes);
  if (got !== expected)
    client.problem(
      `entry ${mediaId} of ${fileId} has ${content.body.length} bytes with SHA-256 ${got}; sent were ${upload.bytes} with ${expected}: wrong bytes`,
    );
  const { media } = parsed(list.body) as { media: { id: string; fileId: string | null }[] };
  const entries = media.filter((entry) => entry.fileId === fileId);
  if (entries.length !== 1 && upload.isFirstLife)
    client.problem(`${fileId} has ${entries.length} entries instead of one`);
  counts.completed += 1;
  counts.bytesVerified += content.body.length;
  return true;
}

export function adminGet(path: string): Call {
  return { what: `GET /__admin${path}`, method: 'GET', path, isAdmin: true };
}

/** The expected digest of an entry, for a later reader. */
export function digestOf(upload: Upload): string {
  return sha256Of(upload.plan.seed, upload.plan.fileId, upload.plan.sizes);
}
