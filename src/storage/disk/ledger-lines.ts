// storage/disk/ledger-lines.ts: the text of a ledger: what an append writes, and what is made of it when it is read again.
//
// A line is valid if and only if it is `<crc> <number> <json>\n` where
//   (1) <crc> is the CRC-32 of everything after it up to the newline, in 8 hexadecimal digits,
//   (2) <number> is one more than the line before (the first is 1), and
//   (3) <json> is what one append stored: a JSON object, or an array of them when it stored several.
//
// An append is one line, so that one that never finished takes all of its records with it. The first line that is not
// valid ends the ledger. Is it the last one, and cut short or with whole sectors of NUL bytes, it is a write that the
// process or the machine did not live to finish: it is dropped and reported as torn. Anything else is damage: somebody
// was told that those records are stored. Opening refuses, the file stays as it is, and every other ledger goes on
// (rule D2; tests: storage/disk-ledger.test.ts).
//
// A record of the ledger's own says to which owner of the folder it belongs (ledger-copies.ts). Nobody else is told of it.
//
// Promises: what was appended is read back, or it is said what is wrong; nothing is read that was not appended.
// Must not know: files.
import { crc32 } from 'node:zlib';
import { damage, type AppError } from '../../core/errors.ts';
import { hex32 } from '../../core/hex32.ts';
import type { LedgerRecord, StorageKey } from '../../uploads/ports.ts';

const OWNER = 'ledger-owner';
const CRC_DIGITS = 8;
const NEWLINE = 0x0a;
/** What a disk writes whole or not at all. */
const SECTOR_BYTES = 512;

export function encodeLine(number: number, records: readonly LedgerRecord[]): string {
  const rest = `${number} ${JSON.stringify(records.length === 1 ? records[0] : records)}`;
  return `${hex32(crc32(rest))} ${rest}\n`;
}

/** @param number as in parts.ts */
export function ownerRecord(number: number): LedgerRecord {
  return { type: OWNER, number };
}

/** Where a ledger ends. */
export interface LedgerEnd {
  readonly bytes: number;
  readonly lines: number;
  /** The byte at which its last line begins. */
  readonly lastLineAt: number;
}

export interface LedgerLines {
  readonly records: LedgerRecord[];
  /** Of what is valid. */
  readonly end: LedgerEnd;
  /** The number of whose it is; 0 when nothing is said. */
  readonly owner: number;
  /** It was another's before. */
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
  // With a right checksum these are the bytes that were written: what fails below is not damage but a defect.
  return text.startsWith(prefix)
    ? [JSON.parse(text.slice(prefix.length)) as LedgerRecord | LedgerRecord[]].flat()
    : null;
}

/** What begins at `start` was being written: it is cut short, or has a hole where the size was stored before the data. */
function isTorn(content: Buffer, start: number, number: number): boolean {
  const newline = content.indexOf(NEWLINE, start);
  if (newline !== -1) return newline === content.length - 1 && hasHole(content, start);
  // A line that is whole, with another byte for its newline, was not cut short: that byte was changed.
  const isWhole = decodeLine(content.subarray(start, -1), number) !== null;
  return !isWhole || content.at(-1) === 0;
}

/** A power loss can take whole sectors of a write; a NUL byte anywhere else was not left by one. */
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
