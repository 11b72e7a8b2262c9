// uppy.browser.ts: Uppy's XHR upload, which makes one chunk of a file, as configured in examples/browser/uppy.js.
import { uploaderSuite } from './uploader-suite.ts';

uploaderSuite('uppy', 1, { four: 'files' });
