// POWER_LOSS_MOMENTS, POWER_LOSS_IMAGES and POWER_LOSS_KILLS with `npm run test:deep -- power-loss` lose more.
import { budgetOf } from '../helpers/budget.ts';
import { powerLoss } from '../system/power-loss-suite.ts';

powerLoss({
  moments: budgetOf('POWER_LOSS_MOMENTS', 100),
  images: budgetOf('POWER_LOSS_IMAGES', 3),
  kills: budgetOf('POWER_LOSS_KILLS', 3),
});
