import { describe, expect, it } from 'vitest';
import { OFFLOAD_CHAIN, OFFLOAD_CSUM, OFFLOAD_TSO4, offloadNames } from '../../../drivers/offloads.js';

describe('the names of offloads', () => {
  it('are in the order of the bits, and bits without a name have none', () => {
    expect(offloadNames(0)).toEqual([]);
    expect(offloadNames(OFFLOAD_CHAIN | OFFLOAD_TSO4 | OFFLOAD_CSUM)).toEqual(['csum', 'tso4', 'chain']);
    expect(offloadNames(-1)).toEqual(['csum', 'tso4', 'tso6', 'ecn', 'chain']);
  });
});
