import { describe, expect, it } from 'vitest';
import { OFFLOAD_CHAIN, OFFLOAD_CSUM, type OffloadPolicy } from '../../../../../drivers/offloads.js';
import { showOffloads } from '../../../../../src/cli/output/offload-lines.js';
import type { Port } from '../../../../../src/index.js';

function linesOf(policy: OffloadPolicy, offloads: number): string[] {
  const lines: string[] = [];
  showOffloads({ config: { offloads: policy }, offloads } as Port, (line) => lines.push(line));
  return lines;
}

describe('the line about offloads', () => {
  it('names what the device does', () => {
    expect(linesOf('auto', OFFLOAD_CSUM | OFFLOAD_CHAIN)).toEqual(['offloads: csum chain']);
  });

  it('says that all is done in software when the device does nothing', () => {
    expect(linesOf('auto', 0)).toEqual(['offloads: none; all is done in software']);
  });

  it('is missing when no offloads are wanted', () => {
    expect(linesOf('off', 0)).toEqual([]);
  });
});
