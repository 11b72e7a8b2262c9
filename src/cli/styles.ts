// cli/styles.ts: colours that are readable on dark and light terminals, and whether they may be used.

/** Without yellow, cyan and blue: each of them is unreadable on a dark or on a light background. */
export const STYLES = {
  plain: '\u001B[0m',
  dim: '\u001B[2m',
  bold: '\u001B[1m',
  refused: '\u001B[35m',
  failed: '\u001B[1;31m',
  mark: '\u001B[7m',
} as const;

export type Style = keyof typeof STYLES;

/** Whether colours may be written to this stream. A NO_COLOR that is not empty forbids them (https://no-color.org). */
export function isColoured(
  { isTTY }: { readonly isTTY?: boolean },
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  return isTTY === true && (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb';
}
