// A sample of the tests; deep/namespaces.test.ts has many more of them.
import { namespacesSideBySide } from './namespaces-suite.ts';

namespacesSideBySide(60);
