// storage/extents.ts: the part of a content that a range asks for, as extents again. Pure.
import type { Extent } from '../uploads/ports.ts';

export function sliceExtents(
  extents: readonly Extent[],
  range: { start: number; length: number } | undefined,
): Extent[] {
  if (range === undefined) return extents.filter((extent) => extent.bytes > 0);
  const sliced: Extent[] = [];
  let skip = range.start;
  let left = range.length;
  for (const { segment, offset, bytes } of extents) {
    const taken = Math.min(Math.max(bytes - skip, 0), left);
    if (taken > 0) sliced.push({ segment, offset: offset + skip, bytes: taken });
    skip = Math.max(skip - bytes, 0);
    left -= taken;
  }
  return sliced;
}
