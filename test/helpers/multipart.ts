// helpers/multipart.ts: builds forms byte by byte, as senders write them, and parses them, both without the server's code.

export interface Part {
  readonly name: string;
  readonly value: string | Buffer;
  readonly filename?: string;
  readonly type?: string;
}

export interface Form {
  readonly contentType: string;
  readonly body: Buffer;
}

export interface Chunk {
  readonly fileId: string;
  readonly chunkIndex: number | string;
  readonly totalChunks: number | string;
  readonly bytes: Buffer;
}

export const BOUNDARY = '------------------------d74496d66958873e';

export function formOf(parts: readonly Part[], boundary = BOUNDARY): Form {
  const pieces = parts.flatMap(({ name, value, filename, type }) => {
    const file = filename === undefined ? '' : `; filename="${filename}"`;
    const typeLine = type === undefined ? '' : `\r\nContent-Type: ${type}`;
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${file}${typeLine}\r\n\r\n`;
    return [Buffer.from(head), Buffer.isBuffer(value) ? value : Buffer.from(value), Buffer.from('\r\n')];
  });
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    body: Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]),
  };
}

export function fieldParts(fields: Readonly<Record<string, string>>): Part[] {
  return Object.entries(fields).map(([name, value]) => ({ name, value }));
}

/** The four parts in the order of the vendor's table. */
export function chunkParts({ fileId, chunkIndex, totalChunks, bytes }: Chunk): Part[] {
  return [
    { name: 'file', value: bytes, filename: 'blob', type: 'application/octet-stream' },
    { name: 'chunkIndex', value: String(chunkIndex) },
    { name: 'totalChunks', value: String(totalChunks) },
    { name: 'fileId', value: fileId },
  ];
}

/** The fields come first, so that the server knows which upload the bytes belong to before they come. */
export function fieldsFirst(chunk: Chunk): Part[] {
  return chunkParts(chunk).toReversed();
}

/** Every order of these items. */
export function ordersOf<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, i) => ordersOf(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}

/** The parts of a whole form: a field has its text, a file has no value. */
export function partsIn(contentType: string, body: Buffer): { name: string; value?: string }[] {
  const boundary = /boundary="?([^";]+)/i.exec(contentType)?.[1] ?? '';
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const whole = Buffer.concat([Buffer.from('\r\n'), body]);
  const parts: { name: string; value?: string }[] = [];
  let from = whole.indexOf(delimiter);
  for (let to = whole.indexOf(delimiter, from + 1); to !== -1; to = whole.indexOf(delimiter, from + 1)) {
    const part = whole.subarray(from + delimiter.length, to);
    const at = part.indexOf('\r\n\r\n');
    const head = part.toString('utf8', 0, at);
    const name = nameIn(head);
    if (name !== undefined) {
      parts.push(isFile(name, head) ? { name } : { name, value: part.toString('utf8', at + 4) });
    }
    from = to;
  }
  return parts;
}

function nameIn(head: string): string | undefined {
  const withoutFilename = head.replaceAll(/filename="(?:[^"\\]|\\.)*"/gi, '');
  const [, quoted, token] = /[;\s]name=(?:"((?:[^"\\]|\\.)*)"|([^\s;]+))/i.exec(withoutFilename) ?? [];
  return quoted ?? token;
}

function isFile(name: string, head: string): boolean {
  return name === 'file' || /filename/i.test(head);
}
