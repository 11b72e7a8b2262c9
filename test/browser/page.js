// page.js: what runs in the browser: the uploaders of examples/browser, as they are, behind one call.
//
// Promises: files are made here, from a seed, as a user's would be: a File. Errors reach the test as texts.
import * as dropzone from '../../examples/browser/dropzone.js';
import * as plain from '../../examples/browser/fetch.js';
import * as flow from '../../examples/browser/flow.js';
import * as resumable from '../../examples/browser/resumable.js';
import * as uppy from '../../examples/browser/uppy.js';
import { seededBytes } from './seeded-bytes.ts';

const CHUNKED = { dropzone, fetch: plain, flow, resumable };

function fileOf({ seed, bytes, fileId }) {
  return new File([seededBytes(seed, bytes)], `${fileId}.mp4`, { type: 'video/mp4' });
}

globalThis.uploadPage = {
  /** Resolves to null when all are there, or else to the message of the error. */
  async upload(library, files, options) {
    const made = files.map((file) => ({ file: fileOf(file), fileId: file.fileId }));
    const sending =
      library === 'uppy'
        ? uppy.uploadAll(made, options)
        : Promise.all(made.map(({ file, fileId }) => CHUNKED[library].upload(file, { ...options, fileId })));
    return sending.then(
      () => null,
      (error) => String(error.message),
    );
  },

  /** What a script gets to see of an answer; null: nothing, because there was none or because it may not. */
  async ask(url, { fields, ...init }) {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields ?? {})) form.set(name, value);
    const response = await fetch(
      url,
      fields === undefined ? init : { method: 'POST', ...init, body: form },
    ).catch(() => null);
    if (response === null) return null;
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: await response.text(),
    };
  },
};
