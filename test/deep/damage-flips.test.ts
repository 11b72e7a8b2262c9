// `DAMAGE_ROUNDS=2000 npm run test:deep -- damage-flips` plays that many rounds.
import { budgetOf } from '../helpers/budget.ts';
import { randomDamage } from '../system/damage-flips-suite.ts';

randomDamage(budgetOf('DAMAGE_ROUNDS', 500));
