// http/forms/part-digests.ts: records the parts of a form: name, filename, length, CRC-32 and the text of fields, never the
// bytes of a file.
import { crc32 } from 'node:zlib';
import type { PartFacts } from '../observer.ts';
import type { PartHead } from './part-head.ts';

interface CountedPart {
  readonly name: string;
  readonly filename: string | undefined;
  bytes: number;
  crc32: number;
  value?: string;
}

export class PartDigests {
  readonly #parts: CountedPart[] = [];

  get parts(): readonly PartFacts[] {
    return this.#parts;
  }

  begin({ name, filename }: PartHead): void {
    this.#parts.push({ name: name ?? '', filename, bytes: 0, crc32: 0 });
  }

  /** Sets the text of the last part. */
  says(value: string): void {
    const part = this.#parts.at(-1);
    if (part !== undefined) part.value = value;
  }

  /** Counts more bytes of the last part. */
  count(bytes: Buffer): void {
    const part = this.#parts.at(-1);
    if (part === undefined) return;
    part.crc32 = crc32(bytes, part.crc32);
    part.bytes += bytes.length;
  }
}
