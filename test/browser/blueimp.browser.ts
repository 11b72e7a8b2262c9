// blueimp.browser.ts: jQuery File Upload, whose chunks go one at a time, as configured in examples/browser/blueimp.js.
import { uploaderSuite } from './uploader-suite.ts';

uploaderSuite('blueimp', 7, { resumes: true, four: 'files' });
