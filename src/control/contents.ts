// control/contents.ts: finds the bytes of an upload or an entry at each call. The bytes of a finalised upload are in its entry.
//
// Must not know: how the bytes are read.
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
   * @param part the bytes up to the first gap, or the bytes of all chunks
   * @throws AppError `upload_not_found`, `upload_damaged`
   */
  async ofUpload(ref: UploadRef, part: 'gapless' | 'all'): Promise<StoredContent> {
    const found = await this.#uploads.content(ref, part);
    if (found === null) throw noUpload(ref.fileId);
    const { place, extents, finalization, currentSize, sums, life } = found;
    const { bytes } = sums;
    if (finalization === null) return { place, extents, bytes, currentSize, sums, life };
    // The sums of the upload are more exact: the sums of the entry may cover several chunks together, or be absent.
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
    `no upload ${name} for this key; GET /__admin/uploads lists its uploads`,
  );
}
