// cli/styles.ts: how a terminal is told to draw: what is readable on a dark and on a light ground, and whether it may be used.
//
// Must not know: what is drawn.

/** No yellow, cyan or blue: each of them cannot be read on one of the two grounds. */
export const STYLES = {
  plain: '\u001B[0m',
  dim: '\u001B[2m',
  bold: '\u001B[1m',
  refused: '\u001B[35m',
  failed: '\u001B[1;31m',
  mark: '\u001B[7m',
} as const;

export type Style = keyof typeof STYLES;

/** Whether colours may go to this stream. https://no-color.org: set to anything but nothing, it means no. */
export function isColoured(
  { isTTY }: { readonly isTTY?: boolean },
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  return isTTY === true && (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb';
}
