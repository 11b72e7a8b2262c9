// `NAMESPACE_TESTS=5000 npm run test:deep -- namespaces` has each worker run that many tests.
import { budgetOf } from '../helpers/budget.ts';
import { namespacesSideBySide } from '../system/namespaces-suite.ts';

namespacesSideBySide(budgetOf('NAMESPACE_TESTS', 500));
