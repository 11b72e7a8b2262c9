// effects.test.ts: the table of effects names operations of the contract, and says truly where each effect can happen.

import { describe, expect, it } from 'vitest';
import { loadContract } from '../../src/contract/contract.ts';
import {
  EFFECT_NAMES,
  operationsOf,
  PHASES,
  specOf,
  type Effect,
  type PhaseName,
} from '../../src/faults/effects.ts';
import { OPERATION_NAMES } from '../../src/contract/operations.ts';

const CHANGES = ['uploadChunk', 'createVideo', 'createImage'];

it('the operations are those of the contract', () => {
  const promised = loadContract().operations.map(({ operationId }) => operationId);
  expect(OPERATION_NAMES.toSorted()).toEqual(promised.toSorted());
});

it('every effect has phases, and none twice', () => {
  for (const effect of EFFECT_NAMES) {
    const { phases } = specOf(effect);
    expect(phases.length, effect).toBeGreaterThan(0);
    expect(new Set(phases).size, effect).toBe(phases.length);
    expect(PHASES, effect).toEqual(expect.arrayContaining([...phases]));
  }
});

describe('the operations of a fault', () => {
  const operations = (effect: Effect, name: PhaseName): string[] => operationsOf({ effect, phase: { name } });

  it('are all eight before the body and in the answer', () => {
    expect(operations('reset', 'headers')).toEqual(OPERATION_NAMES);
    expect(operations('reset', 'response')).toEqual(OPERATION_NAMES);
    expect(operations('throttle', 'response')).toEqual(OPERATION_NAMES);
  });

  it.each(['body', 'pre-commit', 'post-commit'] as const)('are those that store something at %s', (phase) => {
    expect(operations('reset', phase)).toEqual(CHANGES);
  });

  it('have a body where its reading is slowed down', () => {
    expect(operations('throttle', 'headers')).toEqual(CHANGES);
    expect(operations('throttle', 'body')).toEqual(CHANGES);
  });

  it('are those that the effect is made for', () => {
    expect(operations('stale-status', 'response')).toEqual(['getUploadStatus']);
    expect(operations('fail-publish', 'post-commit')).toEqual(['createVideo', 'createImage']);
    expect(operations('forget', 'headers')).toEqual([
      'uploadChunk',
      'getUploadStatus',
      'createVideo',
      'createImage',
    ]);
    expect(operations('forget', 'post-commit')).toEqual(CHANGES);
  });
});
