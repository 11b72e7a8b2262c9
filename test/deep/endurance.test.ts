// Memory after thousands of broken requests.
import { brokenOffRequests } from '../endurance-suite.ts';

brokenOffRequests({ count: 2_000, growthMib: 1 });
