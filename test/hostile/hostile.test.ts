// A sample of the cases; deep/hostile.test.ts has many more of them.
import { hostileBytes } from './hostile-suite.ts';

hostileBytes(400);
