// fine-uploader.browser.ts: Fine Uploader, as configured in examples/browser/fine-uploader.js.
import { uploaderSuite } from './uploader-suite.ts';

uploaderSuite('fineUploader', 7, { resumes: true });
