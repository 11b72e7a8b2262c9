// The journal is ahead of the client, however often it is asked.
import { describe, expect, it } from 'vitest';
import type { Exchange } from '../../src/journal/exchange.ts';
import { openTestServer } from '../helpers/app.ts';
import { DoubleClient } from '../helpers/double-client.ts';

interface Found {
  readonly requests: readonly Exchange[];
}

export function onRecordAtOnce(cycles: number): void {
  describe('an exchange', () => {
    it(`is on record before its answer has come: ${cycles} requests, each asked for at once, none missed (§9.7)`, async () => {
      const server = await openTestServer({ logLevel: 'silent' });
      const sender = new DoubleClient(server, 'k');
      const reader = new DoubleClient(server, 'k');
      const missed: number[] = [];
      for (let cycle = 1; cycle <= cycles; cycle += 1) {
        const { status } = await sender.chunk({ fileId: `f${cycle % 7}` });
        const [found] = (await reader.admin<Found>(`GET requests?sinceSeq=${cycle - 1}`)).body.requests;
        if (status !== 200 || found?.seq !== cycle || found.response?.status !== 200) missed.push(cycle);
      }
      expect(missed).toEqual([]);
    });
  });
}
