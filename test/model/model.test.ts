// A sample of the sequences; deep/model.test.ts has many more of them.
import { randomSequences } from './model-suite.ts';

randomSequences(60);
