// media/content-check.ts: whether stored bytes are of a kind that the endpoint takes, by how they begin (rule F8).
//
// Must not know: how the bytes came, HTTP.
import type { ContentSums } from '../integrity/content-sums.ts';
import type { StoredContent } from '../integrity/stored-content.ts';
import type { VerifiedReader } from '../integrity/verified-reader.ts';
import { checkContent, SNIFF_BYTES } from './media-check.ts';
import type { MediaType } from './platforms.ts';

export type SniffedContent = Pick<StoredContent, 'place' | 'extents'> & { readonly sums: ContentSums };

/** @throws AppError `unsupported_media`; `upload_damaged` */
export async function checkStored(
  reader: VerifiedReader,
  type: MediaType,
  content: SniffedContent,
): Promise<void> {
  await checkContent(type, await headOf(reader, content));
}

/** The first bytes; a chunk that is whole in them is held against its CRC-32 (rule D5). */
async function headOf(reader: VerifiedReader, content: SniffedContent): Promise<Buffer> {
  const { bytes } = content.sums;
  const whole = { ...content, bytes, currentSize: bytes, life: '' };
  const pieces: Buffer[] = [];
  const range = { start: 0, length: SNIFF_BYTES };
  for await (const piece of reader.read(() => Promise.resolve(whole), range)) pieces.push(piece);
  return Buffer.concat(pieces);
}
