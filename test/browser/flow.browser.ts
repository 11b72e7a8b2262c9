// flow.browser.ts: Flow.js, as configured in examples/browser/flow.js.
import { uploaderSuite } from './uploader-suite.ts';

uploaderSuite('flow', 7);
