// page.js: what runs in the browser: the uploaders of examples/browser, as they are, behind one call.
//
// Promises: files are made here, from a seed, as a user's would be: a File. Errors reach the test as texts.
import * as blueimp from '../../examples/browser/blueimp.js';
import * as dropzone from '../../examples/browser/dropzone.js';
import * as plain from '../../examples/browser/fetch.js';
import * as fineUploader from '../../examples/browser/fine-uploader.js';
import * as flow from '../../examples/browser/flow.js';
import * as resumable from '../../examples/browser/resumable.js';
import * as simpleUploader from '../../examples/browser/simple-uploader.js';
import * as uppy from '../../examples/browser/uppy.js';
import { seededBytes } from './seeded-bytes.ts';

const CHUNKED = {
  blueimp,
  dropzone,
  fetch: plain,
  fineUploader,
  flow,
  resumable,
  simpleUploader,
};

function fileOf({ seed, bytes, fileId }) {
  return new File([seededBytes(seed, bytes)], `${fileId}.mp4`, { type: 'video/mp4' });
}

function formOf(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  return form;
}

/** Of an XMLHttpRequest, which gives them as text. */
function headersOf(xhr) {
  const lines = xhr.getAllResponseHeaders().split('\r\n').filter(Boolean);
  return Object.fromEntries(lines.map((line) => line.split(': ', 2)));
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

  /** As `ask`, with the page's cookies and an XMLHttpRequest, the way of most uploaders. */
  askWithCredentials(url, { fields, headers }) {
    return new Promise((resolve) => {
      const xhr = new XMLHttpRequest();
      xhr.open(fields === undefined ? 'GET' : 'POST', url);
      xhr.withCredentials = true;
      for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
      xhr.onload = () => resolve({ status: xhr.status, headers: headersOf(xhr), body: xhr.responseText });
      xhr.onerror = () => resolve(null);
      xhr.send(fields === undefined ? null : formOf(fields));
    });
  },

  /** What a script gets to see of an answer; null: nothing, because there was none or because it may not. */
  async ask(url, { fields, ...init }) {
    const all = fields === undefined ? init : { method: 'POST', ...init, body: formOf(fields) };
    const response = await fetch(url, all).catch(() => null);
    if (response === null) return null;
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: await response.text(),
    };
  },
};
