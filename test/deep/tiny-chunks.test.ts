import { tinyChunks } from '../http/routes/tiny-chunks-suite.ts';

// Beyond the 10,000 parts at which storages that keep one object a chunk come to their end.
tinyChunks(10_001);
