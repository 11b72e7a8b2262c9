// storage/extents.ts: computes from extents which parts hold a range of a content, and how long each segment must be. Pure.
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

/** By segment: how many bytes it must hold. */
export function endsOf(extents: readonly Extent[]): Map<string, number> {
  const ends = new Map<string, number>();
  for (const { segment, offset, bytes } of extents)
    if (bytes > 0) ends.set(segment, Math.max(ends.get(segment) ?? 0, offset + bytes));
  return ends;
}
