/**
 * tspmd/testing: a port without a network, for tests of stacks. The core, the filter and ARP are the real ones. Below
 * them is a fake device: the test injects frames, reads what was sent, and sets the clock.
 *
 * @module tspmd/testing
 */
export { FakeDevice, type FakeDeviceOptions } from './fake-device.js';
export { FakePort, type FakePortOptions, neighbourMac, openFakePort } from './fake-port.js';
