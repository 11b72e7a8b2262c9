// Every verdict is compared with the truth, at length: VERDICT_WORLDS random worlds.
import { budgetOf } from '../helpers/budget.ts';
import { verdictsHold } from '../journal/verdicts-suite.ts';

verdictsHold(budgetOf('VERDICT_WORLDS', 2_000));
