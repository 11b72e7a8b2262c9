// A sample of the moments; deep/power-loss.test.ts has many more of them.
import { powerLoss } from './power-loss-suite.ts';

powerLoss({ moments: 5, images: 1, kills: 0 });
