// A sample of the forms; deep/multipart-fuzz.test.ts has many more of them.
import { comparedWithBusboy, knownDifferences } from './multipart-fuzz-suite.ts';

comparedWithBusboy(2_000);
knownDifferences();
