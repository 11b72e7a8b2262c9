// media/content-check.ts: checks by the first bytes whether stored content is of a kind that the endpoint takes (rule F8).
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

/** The first bytes. When they contain a whole chunk, its CRC-32 is checked (rule D5). */
async function headOf(reader: VerifiedReader, content: SniffedContent): Promise<Buffer> {
  const { bytes } = content.sums;
  const whole = { ...content, bytes, currentSize: bytes, life: '' };
  const pieces: Buffer[] = [];
  const range = { start: 0, length: SNIFF_BYTES };
  for await (const piece of reader.read(() => Promise.resolve(whole), range)) pieces.push(piece);
  return Buffer.concat(pieces);
}
