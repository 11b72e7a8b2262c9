// Memory after thousands of broken requests.
import { brokenOffRequests } from '../system/endurance-suite.ts';

brokenOffRequests({ count: 2_000, growthMib: 1 });
