// bench/soak/form.ts: a chunk as a multipart form, its parts in either order.
//
// Must not know: who sends it.
const BOUNDARY = 'xenonflare-mock-soak-5d1f7a';

export const FORM_TYPE = `multipart/form-data; boundary=${BOUNDARY}`;

export interface FormSpec {
  readonly fields: Readonly<Partial<{ [name: string]: string }>>;
  readonly file?: { readonly name: string; readonly bytes: Buffer };
  readonly isFileFirst?: boolean;
}

export function formOf({ fields, file, isFileFirst = false }: FormSpec): Buffer {
  const texts = Object.entries(fields).map(([name, value]) =>
    part(`name="${name}"`, Buffer.from(value ?? '')),
  );
  const files = file === undefined ? [] : [part(`name="file"; filename="${file.name}"`, file.bytes)];
  const parts = isFileFirst ? [...files, ...texts] : [...texts, ...files];
  return Buffer.concat([...parts.flat(), Buffer.from(`--${BOUNDARY}--\r\n`)]);
}

function part(disposition: string, content: Buffer): Buffer[] {
  const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n`;
  return [Buffer.from(head), content, Buffer.from('\r\n')];
}
