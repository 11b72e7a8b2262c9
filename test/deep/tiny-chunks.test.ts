import { tinyChunks } from '../http/routes/tiny-chunks-suite.ts';

// Some storages keep one object for each chunk and end at 10,000 parts. This goes beyond that number.
tinyChunks(10_001);
