// `CRASH_POINTS=1000 npm run test:deep -- crash-matrix` tries every point there is.
import { budgetOf } from '../helpers/budget.ts';
import { crashMatrix, EVERY_SITUATION } from '../system/crash-matrix-suite.ts';

crashMatrix({ situations: EVERY_SITUATION, points: budgetOf('CRASH_POINTS', 4) });
