// Every verdict against what truly was: a sample (deep/verdicts.test.ts has it at length).
import { verdictsHold } from './verdicts-suite.ts';

verdictsHold(300);
