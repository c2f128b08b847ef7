/**
 * tspmd/testing: a port without a network, for tests of stacks. The core, the filter and ARP are the real ones. Below
 * them is a fake device: the test injects frames, reads what was sent, and sets the clock.
 *
 * @module tspmd/testing
 */
export { CHECKSUM_PARTIAL, CHECKSUM_VERIFIED, GSO_ECN, GSO_TCP4, GSO_TCP6 } from '../../rings/packet-table.js';
export { FakeDevice, type FakeDeviceOptions } from './fake-device.js';
export type { InjectOptions } from './fake-entries.js';
export { FakePort, type FakePortOptions, neighbourMac, openFakePort } from './fake-port.js';
export type { SentPacket } from './fake-wire.js';
