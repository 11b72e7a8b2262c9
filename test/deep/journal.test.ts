import { onRecordAtOnce } from '../admin/journal-suite.ts';

onRecordAtOnce(10_000);
