// A sample of `npm run test:deep -- damage-flips`.
import { randomDamage } from './damage-flips-suite.ts';

randomDamage(15);
