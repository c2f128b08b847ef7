/** The lab's `--netdev` options: what QEMU is asked for. */
import { describe, expect, it } from 'vitest';
import { nicAddress, parseNetdev } from '../../../../scripts/vm/netdev.js';

const DEVICE = 'virtio-net-pci,netdev=net0,addr=10,romfile=,disable-legacy=on';

describe('--netdev', () => {
  it('connects a tap device, in a namespace or outside of one', () => {
    const nic = {
      device: ['-device', DEVICE],
      backend: ['-netdev', 'tap,ifname=tap0,script=no,downscript=no,id=net0'],
      saved: ['-netdev', 'hubport,hubid=0,id=net0', '-device', DEVICE],
    };
    expect(parseNetdev('tap:tap0', 0, false)).toEqual(nic);
    expect(parseNetdev('tap:tap0@red', 0, false)).toEqual({ ...nic, namespace: 'red' });
  });

  it('sends one frame per datagram, on loopback or between unix sockets', () => {
    const [, inet] = parseNetdev('dgram:5001:5002', 0, false).backend;
    expect(inet).toContain('local.type=inet,local.host=127.0.0.1,local.port=5001');
    expect(inet).toContain('remote.type=inet,remote.host=127.0.0.1,remote.port=5002');
    const unix = parseNetdev('dgram-unix:/tmp/a:/tmp/b', 0, false);
    expect(unix.backend[1]).toContain('local.type=unix,local.path=/tmp/a,remote.type=unix,remote.path=/tmp/b');
    expect(unix.leftover).toBe('/tmp/a');
  });

  it('connects to a vhost-user backend, without vectors unless they are asked for', () => {
    const { backend, device } = parseNetdev('vhost-user:/run/port0', 0, false);
    expect(backend).toEqual([
      ...['-chardev', 'socket,id=net0-socket,path=/run/port0'],
      ...['-netdev', 'vhost-user,chardev=net0-socket,id=net0'],
    ]);
    expect(device[1]).toBe(`${DEVICE},vectors=0`);
    const listening = parseNetdev('vhost-user-server:/run/port0', 0, false);
    expect(listening.backend[1]).toBe('socket,id=net0-socket,path=/run/port0,server=on');
    expect(listening.backend.slice(2)).toEqual(backend.slice(2));
    expect(listening).toMatchObject({ device, leftover: '/run/port0' });
    expect(parseNetdev('vhost-user:/run/port0,vectors=4', 0, false).device[1]).toBe(`${DEVICE},vectors=4`);
  });

  it('passes options to the device, and queues to both ends', () => {
    const several = 'hub:0,mac=52:54:00:00:00:01,packed=on,rx_queue_size=1024,queues=2';
    const { backend, device, saved } = parseNetdev(several, 0, true);
    expect(backend[1]).toBe('hubport,hubid=0,id=net0,queues=2');
    expect(saved, 'it would be a device of one queue pair').toBeUndefined();
    expect(device[1]).toBe(
      `${DEVICE},iommu_platform=on,ats=on,mac=52:54:00:00:00:01,packed=on,rx_queue_size=1024,mq=on,vectors=6`,
    );
    expect(parseNetdev('hub:0,disable-legacy=off', 0, false).device[1]).toContain('disable-legacy=off');
  });

  it('saves machines without a peer, and without what the device may lack at first', () => {
    const { saved } = parseNetdev('tap:tap0,packed=on,vectors=3', 0, false);
    expect(saved).toEqual(['-netdev', 'hubport,hubid=0,id=net0', '-device', `${DEVICE},vectors=3`]);
  });

  it('gives each device its own address', () => {
    expect(parseNetdev('hub:0', 1, false).device[1]).toContain('netdev=net1,addr=11');
    expect([0, 1].map(nicAddress)).toEqual(['0000:00:10.0', '0000:00:11.0']);
  });

  it.each([
    ['nosuch:x', 'unknown kind; want KIND:WHERE'],
    ['tap', 'unknown kind; want KIND:WHERE'],
    ['dgram:5001', "'5001' is not LOCALPORT:REMOTEPORT"],
    ['dgram:5001:x', "'x' is not a port"],
    ['dgram:5001:70000', "'70000' is not a port"],
    ['dgram-unix:/tmp/a', "'/tmp/a' is not LOCALPATH:REMOTEPATH"],
    ['hub:0,packed', "'packed' is not option=value"],
  ])('says what is wrong with %s', (spec, message) => {
    expect(() => parseNetdev(spec, 0, false)).toThrow(`--netdev ${spec}: `);
    expect(() => parseNetdev(spec, 0, false)).toThrow(message);
  });
});
