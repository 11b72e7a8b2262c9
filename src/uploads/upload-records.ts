// uploads/upload-records.ts: the shapes of the records in the ledger of an upload (`UploadEvent`). Pure.
//
// It does not know what the records mean (upload.ts), or who reads or writes the ledger.
import { isCount, isNumber, isObject, isOneOf, isShape, isText } from '../core/shape.ts';
import type { Ledgers } from './ports.ts';
import { typedLedgers, type IsRecord } from './typed-ledgers.ts';
import type { UploadEvent } from './upload.ts';

type Of<T extends UploadEvent['type']> = Extract<UploadEvent, { type: T }>;

const isStarted = isShape<Of<'started'>>(
  { type: isOneOf('started'), format: isOneOf(1), fileId: isText, totalChunks: isCount, at: isNumber },
  {},
);

const isChunk = isShape<Of<'chunk'>>(
  {
    type: isOneOf('chunk'),
    index: isCount,
    segment: isText,
    offset: isCount,
    bytes: isCount,
    crc32: isCount,
    at: isNumber,
  },
  {},
);

const isFinalized = isShape<Of<'finalized'>>(
  {
    type: isOneOf('finalized'),
    mediaId: isText,
    namespace: isText,
    fingerprint: isText,
    spec: isObject,
    at: isNumber,
  },
  { entryAt: isNumber }, // Earlier versions did not record this field.
);

const isUploadEvent: IsRecord<UploadEvent> = (record, number): record is UploadEvent =>
  number === 0 ? isStarted(record) : isChunk(record) || isFinalized(record);

export function uploadLedgers(ledgers: Ledgers): Ledgers<UploadEvent> {
  return typedLedgers(ledgers, isUploadEvent);
}
