// fetch.browser.ts: plain fetch, as configured in examples/browser/fetch.js.
import { uploaderSuite } from './uploader-suite.ts';

uploaderSuite('fetch', 7, { resumes: true });
