// What must not grow, with as much as is promised.
import {
  abortedRequests,
  chunksInParallel,
  largestFile,
  serversSideBySide,
  startUp,
  videosInParallel,
} from '../system/limits-suite.ts';

chunksInParallel({ count: 64, mib: 64 });
videosInParallel({ count: 16, mib: 64 });
abortedRequests(10_000);
largestFile({ count: 80, mib: 64 });
startUp(4_000);
serversSideBySide(100);
