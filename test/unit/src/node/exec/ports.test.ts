import { describe, expect, it } from 'vitest';
import { formatPorts, hasPort, parsePorts } from '../../../../../src/node/exec/ports.js';

describe('a list of ports', () => {
  it('has single ports and ranges', () => {
    const ports = parsePorts('22, 5432,8000-8100');
    expect(ports).toEqual([
      [22, 22],
      [5432, 5432],
      [8000, 8100],
    ]);
    expect(formatPorts(ports)).toBe('22,5432,8000-8100');
    const has = [21, 22, 23, 7999, 8000, 8050, 8100, 8101].filter((port) => hasPort(ports, port));
    expect(has).toEqual([22, 8000, 8050, 8100]);
  });

  it.each(['', '0', '65536', '8100-8000', '80,', 'http', '1-2-3', '-1', '80 90'])('is not %j', (text) => {
    expect(() => parsePorts(text)).toThrow(`'${text}' is not a list of ports such as 22,5432,8000-8100`);
  });
});
