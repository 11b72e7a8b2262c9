// Every verdict against what truly was, at length: VERDICT_WORLDS random worlds.
import { budgetOf } from '../helpers/budget.ts';
import { verdictsHold } from '../journal/verdicts-suite.ts';

verdictsHold(budgetOf('VERDICT_WORLDS', 2_000));
