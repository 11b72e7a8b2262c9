// soak/audit.ts: after a restart it checks whether everything is there that was acknowledged before the restart.
//
// Promises: it runs before any client is let in, so nothing changes meanwhile. It checks each upload's status, its chunks with
// their checksums, and the SHA-256 of its beginning, and it checks all bytes of each entry that is still kept by their SHA-256.
import { adminGet, digestOf } from './finish.ts';
import { parsed, type Call, type Client, type Outcome } from './client.ts';
import { sha256Of } from './content.ts';
import type { Life } from './server.ts';
import type { StoredChunk, Told, Upload, Verdict } from './upload.ts';
import { statusCall } from './uploader.ts';
import type { Kept } from './world.ts';

interface UploadView {
  readonly currentSize: number;
  readonly chunks: readonly StoredChunk[];
  readonly sha256: string;
}

/** @param client asks the questions; the keys are those of the uploads */
export async function audit(client: Client, life: Life): Promise<void> {
  const { site } = client;
  const { counts } = site.world.record;
  for (const upload of site.uploads) {
    await auditUpload(client, life, upload);
    counts.uploadsAudited += 1;
  }
  for (const kept of site.kept) await auditEntry(client, life, kept);
  counts.audits += 1;
}

async function auditUpload(client: Client, life: Life, upload: Upload): Promise<void> {
  const known = upload.know();
  const status = await client.callOn(life, statusCall(upload));
  if (status.kind !== 'success') return failed(client, upload, status);
  const { data } = parsed(status.body) as { data: Told };
  const isThere = take(client, upload, upload.judgeStatus(data, known, Date.now()));
  if (!isThere || !data.exists) return;
  const path = `/uploads/${encodeURIComponent(upload.plan.fileId)}?digest=sha256`;
  const shown = await client.callOn(life, {
    ...asOwner(adminGet(path), upload),
    refusals: () => ['upload_not_found'],
  });
  if (shown.kind !== 'success') return failed(client, upload, shown);
  const view = parsed(shown.body) as UploadView;
  if (!take(client, upload, upload.judgeChunks(view.chunks, known, Date.now()))) return;
  const { seed, fileId, sizes } = upload.plan;
  const expected = sha256Of(seed, fileId, sizes.slice(0, upload.chunksIn(view.currentSize) ?? 0));
  if (view.sha256 !== expected)
    client.problem(
      `after a restart, ${view.currentSize} bytes of ${fileId} have SHA-256 ${view.sha256} instead of ${expected}: wrong bytes`,
    );
}

function asOwner(call: Call, upload: Upload): Call {
  return { ...call, key: upload.plan.key };
}

/** Between the two questions the upload may have expired. */
function failed(client: Client, upload: Upload, outcome: Outcome): void {
  if (outcome.kind === 'refusal' && upload.mayBeGone(Date.now())) return;
  const how = outcome.kind === 'refusal' ? outcome.body.toString() : outcome.kind;
  client.problem(`after a restart, the server would not say what it has of ${upload.plan.fileId}: ${how}`);
}

function take(client: Client, upload: Upload, verdict: Verdict | null): boolean {
  if (verdict === null || verdict.kind === 'right') return true;
  if (verdict.kind === 'wrong') client.problem(`after a restart, ${verdict.problem}`);
  else client.site.world.record.counts[upload.plan.isForgettable ? 'forgotten' : 'expired'] += 1;
  upload.retire();
  return false;
}

async function auditEntry(client: Client, life: Life, { upload, mediaId, key }: Kept): Promise<void> {
  const call = { ...adminGet(`/media/${mediaId}?digest=sha256`), key };
  const shown = await client.callOn(life, call);
  if (shown.kind !== 'success') return client.problem(`after a restart, entry ${mediaId} could not be read`);
  const { bytes, sha256 } = parsed(shown.body) as { bytes: number; sha256: string };
  if (sha256 !== digestOf(upload) || bytes !== upload.bytes)
    client.problem(
      `after a restart, entry ${mediaId} has ${bytes} bytes with SHA-256 ${sha256}: wrong bytes`,
    );
  client.site.world.record.counts.bytesVerified += bytes;
}
