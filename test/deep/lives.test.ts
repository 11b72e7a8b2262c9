// `LIVES=20000 npm run test:deep -- lives` plays that many lives in each order.
import { budgetOf } from '../helpers/budget.ts';
import { randomLives } from '../uploads/lives-suite.ts';

randomLives(budgetOf('LIVES', 1_000));
