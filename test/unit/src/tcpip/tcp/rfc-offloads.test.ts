/**
 * The tests of the RFCs once more, with a device that sums and cuts into segments: what goes onto the wire must be the
 * same.
 */
import { afterAll, beforeAll } from 'vitest';
import { OFFLOAD_CHAIN, OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4 } from '../../../../../drivers/offloads.js';
import { setOffloads } from '../../../../support/tcpip/rfc/peer.js';
import './rfc-closing.test.js';
import './rfc-ecn.test.js';
import './rfc-icmp.test.js';
import './rfc-retransmission.test.js';
import './rfc-sack.test.js';
import './rfc-sending.test.js';
import './rfc-timeouts.test.js';
import './rfc-timestamps.test.js';

beforeAll(() => setOffloads(OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_ECN | OFFLOAD_CHAIN));
afterAll(() => setOffloads(0));
