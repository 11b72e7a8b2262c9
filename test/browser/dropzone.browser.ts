// dropzone.browser.ts: Dropzone, as configured in examples/browser/dropzone.js.
import { uploaderSuite } from './uploader-suite.ts';

uploaderSuite('dropzone', 7);
