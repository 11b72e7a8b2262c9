// `CRASH_RUNS=10000 npm run test:deep -- deep/crash.test` lets that many lives of uploads meet kills.
import { budgetOf } from '../helpers/budget.ts';
import { killedWhileItTakesUploads } from '../system/crash-suite.ts';

killedWhileItTakesUploads(budgetOf('CRASH_RUNS', 200));
