// `MODEL_RUNS=20000 npm run test:deep -- model` plays that many sequences.
import { budgetOf } from '../helpers/budget.ts';
import { randomSequences } from '../model/model-suite.ts';

randomSequences(budgetOf('MODEL_RUNS', 2_000));
