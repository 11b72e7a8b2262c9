// media/media-check.ts: checks whether a file is of a kind that the endpoint takes (rule F8; the image kinds are assumed).
import { AppError } from '../core/errors.ts';
import type { MediaType } from './platforms.ts';

export type MediaCheck = 'name' | 'content' | 'off';

/** Enough for every kind below. The library itself reads at most this much of a stream. */
export const SNIFF_BYTES = 4_100;

const EXTENSIONS: Readonly<Record<MediaType, readonly string[]>> = {
  video: ['mp4', 'mov'],
  image: ['jpg', 'jpeg', 'png', 'webp', 'gif'],
};

/** The names that the library uses. It has a separate name for each flavour of the ISO container. */
const KINDS: Readonly<Record<MediaType, readonly string[]>> = {
  video: ['mp4', 'mov', 'm4v', 'qt'],
  image: ['jpg', 'png', 'webp', 'gif'],
};

/** @throws AppError `unsupported_media` */
export function checkName(type: MediaType, filename: string): void {
  const extension = /\.([A-Za-z0-9]+)$/.exec(filename)?.[1]?.toLowerCase();
  if (extension !== undefined && EXTENSIONS[type].includes(extension)) return;
  throw unsupported(
    type,
    `the filename ${JSON.stringify(filename.slice(0, 80))} does not end in one of them`,
  );
}

let library: Promise<typeof import('file-type')> | null = null;

/** Loads the library before a server is ready (D8). Called only if the server checks contents, because it delays the start. */
export async function loadContentCheck(): Promise<void> {
  await (library ??= import('file-type'));
}

/**
 * @param head the first bytes of the content, up to SNIFF_BYTES
 * @throws AppError `unsupported_media`
 */
export async function checkContent(type: MediaType, head: Buffer): Promise<void> {
  const { fileTypeFromBuffer } = await (library ??= import('file-type'));
  const found = await fileTypeFromBuffer(head);
  if (found === undefined || !KINDS[type].includes(found.ext))
    throw unsupported(type, `the content looks like ${found?.mime ?? 'none of them'}`);
}

function unsupported(type: MediaType, why: string): AppError {
  const kinds = EXTENSIONS[type].map((extension) => `.${extension}`).join(', ');
  return new AppError('unsupported_media', `this endpoint takes ${kinds}; ${why}`, {
    expected: EXTENSIONS[type],
  });
}
