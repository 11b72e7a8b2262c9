// runs.mjs: what the drivers written for Node share: they read a list of sendings from the file that they are given, send one
// after the other and print what each was answered. A sending that ends in an error has status 0 and the error as text.
import { createReadStream, readFileSync } from 'node:fs';
import FormDataPackage from 'form-data';

export async function run(send) {
  const results = [];
  for (const sending of JSON.parse(readFileSync(process.argv[2], 'utf8')))
    results.push(
      await send(sending).catch((error) => ({ status: 0, text: `${error} ${error.cause ?? ''}` })),
    );
  console.log(JSON.stringify(results));
}

/** A FormData of the platform. A file without a name is called `blob` by it. */
export function formOf({ filename, path, ...sending }) {
  const form = new FormData();
  for (const [name, value] of partsOf(sending)) {
    if (value !== null) form.append(name, value);
    else form.append(name, new Blob([readFileSync(path)]), ...(filename === null ? [] : [filename]));
  }
  return form;
}

/** A form of the package form-data, with the file as a stream. Without a name it is in memory: a stream would have one. */
export function packageFormOf({ filename, path, ...sending }) {
  const form = new FormDataPackage();
  for (const [name, value] of partsOf(sending)) {
    if (value !== null) form.append(name, value);
    else if (filename === null) form.append(name, readFileSync(path));
    else form.append(name, createReadStream(path), { filename });
  }
  return form;
}

/** Names and values of the parts, in the order to send them. The file's value is null. */
function partsOf({ fields, isFileFirst }) {
  const file = ['file', null];
  return isFileFirst ? [file, ...fields] : [...fields, file];
}
