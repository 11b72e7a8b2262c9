// `HOSTILE_CASES=500000 npm run test:deep -- hostile` plays that many cases; with TEST_SEED and TEST_CASE, that one alone.
import { budgetOf } from '../helpers/budget.ts';
import { hostileBytes } from '../hostile/hostile-suite.ts';

hostileBytes(budgetOf('HOSTILE_CASES', 50_000));
