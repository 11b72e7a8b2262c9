// A sample of the deaths; deep/crash-matrix.test.ts has many more of them.
import { crashMatrix } from './crash-matrix-suite.ts';

crashMatrix({ situations: 3, points: 1 });
