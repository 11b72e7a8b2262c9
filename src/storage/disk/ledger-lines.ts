// storage/disk/ledger-lines.ts: the text of a ledger: how an append is written and how it is read again.
//
// A line is valid if and only if it is `<crc> <number> <json>\n` where
//   (1) <crc> is the CRC-32 of everything after it up to the newline, in 8 hexadecimal digits,
//   (2) <number> is one more than the number of the line before (the first is 1), and
//   (3) <json> is what one append stored: a JSON object, or an array of objects when it stored several.
//
// An append is one line, so an unfinished append loses all of its records. The first line that is not valid ends the ledger. It
// is a torn line if it is the last line, and if it is cut short or has whole sectors of NUL bytes: then the process or the
// machine ended before the write did. A torn line is dropped and reported. Any other invalid line is damage, because a client
// was told that its records are stored. Opening is then refused, the file stays as it is, and every other ledger goes on (rule
// D2; tests: storage/disk/ledger.test.ts).
//
// One record is the ledger's own: it names the owner of the folder to which the ledger belongs (ledger-copies.ts). It is not
// returned to the caller.
//
// Promises: reading returns what was appended, or says what is wrong. It returns nothing that was not appended.
import { crc32 } from 'node:zlib';
import { damage, type AppError } from '../../core/errors.ts';
import { hex32 } from '../../core/hex32.ts';
import type { LedgerRecord, StorageKey } from '../../uploads/ports.ts';

const OWNER = 'ledger-owner';
const CRC_DIGITS = 8;
const NEWLINE = 0x0a;
/** The unit that a disk writes whole or not at all. */
const SECTOR_BYTES = 512;

export function encodeLine(number: number, records: readonly LedgerRecord[]): string {
  const rest = `${number} ${JSON.stringify(records.length === 1 ? records[0] : records)}`;
  return `${hex32(crc32(rest))} ${rest}\n`;
}

/** @param number the number of the parts (parts.ts) */
export function ownerRecord(number: number): LedgerRecord {
  return { type: OWNER, number };
}

/** Where a ledger ends. */
export interface LedgerEnd {
  readonly bytes: number;
  readonly lines: number;
  /** The offset of the last line, in bytes. */
  readonly lastLineAt: number;
}

export interface LedgerLines {
  readonly records: LedgerRecord[];
  /** The end of the valid lines. */
  readonly end: LedgerEnd;
  /** The number of the owner; 0 when no record names it. */
  readonly owner: number;
  /** The ledger belonged to another owner before. */
  readonly isInherited: boolean;
}

/** @throws AppError `upload_damaged` */
export function readLines(content: Buffer, place: StorageKey): LedgerLines {
  const records: LedgerRecord[] = [];
  let lines = 0;
  let start = 0;
  let lastLineAt = 0;
  let owner = 0;
  let isInherited = false;
  while (start < content.length) {
    const end = content.indexOf(NEWLINE, start);
    const stored = end === -1 ? null : decodeLine(content.subarray(start, end), lines + 1);
    if (stored === null) {
      if (isTorn(content, start, lines + 1)) break;
      throw damaged(place, lines + 1, start);
    }
    for (const record of stored) {
      if (record['type'] === OWNER) {
        owner = Number(record['number']);
        isInherited = records.length > 0;
      } else records.push(record);
    }
    lines += 1;
    lastLineAt = start;
    start = end + 1;
  }
  return { records, end: { bytes: start, lines, lastLineAt }, owner, isInherited };
}

function decodeLine(line: Buffer, number: number): LedgerRecord[] | null {
  const rest = line.subarray(CRC_DIGITS + 1);
  if (line.toString('latin1', 0, CRC_DIGITS + 1) !== `${hex32(crc32(rest))} `) return null;
  const text = rest.toString();
  const prefix = `${number} `;
  // The checksum is right, so these are the bytes that were written. An error below is a defect of the program and not damage.
  return text.startsWith(prefix)
    ? [JSON.parse(text.slice(prefix.length)) as LedgerRecord | LedgerRecord[]].flat()
    : null;
}

/** Whether the line at `start` is an unfinished write: cut short, or with a hole because its size was stored before its data. */
function isTorn(content: Buffer, start: number, number: number): boolean {
  const newline = content.indexOf(NEWLINE, start);
  if (newline !== -1) return newline === content.length - 1 && hasHole(content, start);
  // A line that is whole but for its newline was not cut short. A byte was changed, and this is damage.
  const isWhole = decodeLine(content.subarray(start, -1), number) !== null;
  return !isWhole || content.at(-1) === 0;
}

/** Whether whole sectors are NUL. A power loss can cause that. It does not cause single NUL bytes elsewhere. */
function hasHole(content: Buffer, start: number): boolean {
  const from = content.indexOf(0, start);
  if (from === -1) return false;
  let to = from;
  while (content[to] === 0) to += 1;
  return (from === start || from % SECTOR_BYTES === 0) && to % SECTOR_BYTES === 0;
}

function damaged(place: StorageKey, line: number, byte: number): AppError {
  return damage(
    place,
    `line ${line} (byte ${byte}) of the ledger fails its checksum; nothing was changed: restore the data folder from a ` +
      'backup, or delete the upload and send it again',
    { line, byte },
  );
}
