import { describe, expect, it } from 'vitest';
import { readEnvironment } from '../../../../../src/node/exec/environment.js';

const NEEDED = { TSPMD_DEVICE: 'vhost-user:/tmp/a.sock', TSPMD_IP: '10.0.0.1/24' };

describe('the environment of tspmd/register', () => {
  it('needs a device and an address only', () => {
    expect(readEnvironment({ ...NEEDED, TSPMD_MAC: '', PATH: '/bin' })).toEqual({
      config: { mode: 'single', device: 'vhost-user:/tmp/a.sock', ip: '10.0.0.1/24' },
      options: { dns: [], kernelPorts: [] },
      isQuiet: false,
      log: 'text',
    });
  });

  it('has what the options of tspmd exec have', () => {
    const variables = {
      ...{ TSPMD_MAC: '52:54:00:00:00:01', TSPMD_MTU: '1400', TSPMD_GATEWAY: '10.0.0.9', TSPMD_BUFFERS: '1024' },
      ...{ TSPMD_NEIGHBOURS: '10.0.0.2=52:54:00:00:00:02,10.0.0.3=52:54:00:00:00:03', TSPMD_HUGEPAGES: 'never' },
      ...{ TSPMD_RING: 'packed', TSPMD_IDLE: 'spin', TSPMD_CORES: '1', TSPMD_QUIET: '1', TSPMD_OFFLOADS: 'off' },
      ...{ TSPMD_DNS: '10.0.0.53,10.0.0.54:5353', TSPMD_KERNEL_PORTS: '22,8000-8100', TSPMD_LOG: 'json' },
    };
    const { config, options, isQuiet, log } = readEnvironment({ ...NEEDED, ...variables });
    expect(config).toMatchObject({
      ...{ mac: '52:54:00:00:00:01', mtu: 1400, gateway: '10.0.0.9', buffers: 1024, hugepages: 'never' },
      ...{ ring: 'packed', idle: 'spin', cores: [1], offloads: 'off' },
      neighbours: { '10.0.0.2': '52:54:00:00:00:02', '10.0.0.3': '52:54:00:00:00:03' },
    });
    expect(options).toEqual({
      dns: ['10.0.0.53', '10.0.0.54:5353'],
      kernelPorts: [
        [22, 22],
        [8000, 8100],
      ],
    });
    expect(isQuiet).toBe(true);
    expect(log).toBe('json');
  });

  it.each([
    ['TSPMD_MTU', '1e3', "TSPMD_MTU: '1e3' is not a whole number"],
    ['TSPMD_RING', 'round', "TSPMD_RING: 'round' is none of auto, split, packed"],
    ['TSPMD_OFFLOADS', 'on', "TSPMD_OFFLOADS: 'on' is none of auto, off"],
    ['TSPMD_NEIGHBOURS', '10.0.0.2', "TSPMD_NEIGHBOURS: '10.0.0.2' is not IP=MAC"],
    ['TSPMD_DNS', 'x', /^TSPMD_DNS: /],
    ['TSPMD_KERNEL_PORTS', '0', /^TSPMD_KERNEL_PORTS: '0' is not a list of ports/],
    ['TSPMD_IP', '', /^TSPMD_IP is not set; tspmd\/register needs it: TSPMD_IP=10\.0\.0\.1\/24$/],
  ])('says what is wrong with %s=%s', (name, value, message) => {
    expect(() => readEnvironment({ ...NEEDED, [name]: value })).toThrow(message);
  });
});
