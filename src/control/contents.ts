// control/contents.ts: where the bytes of an upload or an entry are, whenever that is asked: an upload's become its entry's.
//
// Must not know: what is read of them.
import { AppError } from '../core/errors.ts';
import type { FindContent, StoredContent } from '../integrity/stored-content.ts';
import type { Media } from '../media/media.ts';
import type { UploadRef } from '../uploads/finalized.ts';
import type { Uploads } from '../uploads/uploads.ts';

export class Contents {
  readonly #uploads: Uploads;
  readonly #media: Media;

  constructor(uploads: Uploads, media: Media) {
    this.#uploads = uploads;
    this.#media = media;
  }

  /**
   * @param part the bytes up to the first gap, or of all chunks that are there
   * @throws AppError `upload_not_found`, `upload_damaged`
   */
  async ofUpload(ref: UploadRef, part: 'gapless' | 'all'): Promise<StoredContent> {
    const found = await this.#uploads.content(ref, part);
    if (found === null) throw noUpload(ref.fileId);
    const { place, extents, finalization, currentSize, sums, life } = found;
    const { bytes } = sums;
    if (finalization === null) return { place, extents, bytes, currentSize, sums, life };
    // The upload's own say more than the entry's, which may be of several chunks together, or none.
    return { ...(await this.#media.contentOf(finalization.namespace, finalization.mediaId)), sums, life };
  }

  /** @throws AppError `media_not_found`, `upload_damaged` */
  ofEntry(namespace: string, id: string): FindContent {
    return () => this.#media.contentOf(namespace, id);
  }
}

export function noUpload(fileId: string): AppError {
  const name = JSON.stringify(fileId.slice(0, 80));
  return new AppError(
    'upload_not_found',
    `no upload ${name} for this key; GET /__admin/uploads lists those that exist`,
  );
}
