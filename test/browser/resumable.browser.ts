// resumable.browser.ts: Resumable.js, as configured in examples/browser/resumable.js.
import { uploaderSuite } from './uploader-suite.ts';

uploaderSuite('resumable', 7);
