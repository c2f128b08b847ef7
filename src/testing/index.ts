/**
 * tspmd/testing: a port without a network, for the tests of stacks. The core, the filter and ARP are the real ones; below
 * them is a fake device, whose network the test plays and whose clock it turns.
 *
 * @module tspmd/testing
 */
export { FakeDevice, type FakeDeviceOptions } from './fake-device.js';
export { FakePort, type FakePortOptions, neighbourMac, openFakePort } from './fake-port.js';
