// A sample of the lives; deep/lives.test.ts has many more of them.
import { randomLives } from './lives-suite.ts';

randomLives(30);
