// simple-uploader.browser.ts: simple-uploader.js, as configured in examples/browser/simple-uploader.js.
import { uploaderSuite } from './uploader-suite.ts';

uploaderSuite('simpleUploader', 7, { resumes: true });
