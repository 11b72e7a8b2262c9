// `FUZZ_RUNS=2000000 npm run test:deep -- multipart-fuzz` compares that many forms.
import { budgetOf } from '../helpers/budget.ts';
import { mediaFormsAsChunkForms } from '../http/forms/media-form-suite.ts';
import { comparedWithBusboy } from '../http/forms/multipart-fuzz-suite.ts';

comparedWithBusboy(budgetOf('FUZZ_RUNS', 200_000));
mediaFormsAsChunkForms(budgetOf('MEDIA_FUZZ_RUNS', 20_000));
