/** A transmit queue with offloads that another thread drives: what was negotiated and the packet table go with the loan. */
import { describe, expect, it } from 'vitest';
import * as f from '../../../../../drivers/virtio/features.js';
import { BorrowedTx } from '../../../../../drivers/virtio/lending/borrowed-tx.js';
import type { TxLoan } from '../../../../../drivers/virtio/lending/tx-loan.js';
import { FRAME_OFFSET } from '../../../../../rings/buffer-pool.js';
import * as t from '../../../../../rings/packet-table.js';
import { BorrowerSuite, pass, REST, RETRY_MS } from '../../../../support/lending/borrower-suite.js';
import { readHeader } from '../../../../support/virtio/chain-queues.js';
import type { DriverUnderTest } from '../../../../support/virtio/driver-under-test.js';
import { BASIC } from '../../../../support/virtio/fake-transport.js';
import { cut, tcpFrame } from '../../../../support/virtio/offload-frames.js';

const OFFLOADS = f.VIRTIO_NET_F_CSUM | f.VIRTIO_NET_F_HOST_TSO4;
const suite = new BorrowerSuite();

/** The borrower of a queue, with the loan as another thread gets it: the tables are the same memory, not the same objects. */
async function lend(features: bigint, packed: boolean): Promise<{ driver: DriverUnderTest; tx: BorrowedTx }> {
  const driver = await suite.open(
    (transport) => {
      transport.offered = BASIC | features | (packed ? f.VIRTIO_F_RING_PACKED : 0n);
    },
    { lendTx: true, offloads: 'auto', ring: packed ? 'packed' : 'split' },
  );
  if ((features & f.VIRTIO_F_INDIRECT_DESC) !== 0n) driver.transport.ring(1).indirect = true;
  const { port, memory, ...shared } = driver.device.lendTx();
  // Queues keep the memory in one window: as an object it cannot be cloned here, but it is shared all the same.
  const loan: TxLoan = { ...structuredClone(shared), memory, port };
  return { driver, tx: new BorrowedTx(loan) };
}

/** A GSO packet of 1254 bytes in three buffers of the device. Returns its first buffer. */
function gsoPacket({ device }: DriverUnderTest): { handle: number; length: number; bytes: Uint8Array } {
  const { pool, memory, table } = device;
  const { bytes } = tcpFrame(1200);
  const handles = [pool.get(), pool.get(), pool.get()];
  for (const [i, piece] of cut(bytes, 100, 600).entries()) {
    const entry = handles[i]! << t.ENTRY_SHIFT;
    memory.u8.set(piece, pool.offsetOf(handles[i]!) + FRAME_OFFSET);
    table.words.set([handles[i + 1] ?? t.LAST, FRAME_OFFSET, piece.length], entry + t.NEXT);
  }
  const entry = handles[0]! << t.ENTRY_SHIFT;
  table.words.set([t.CHAIN | t.CHECKSUM_PARTIAL | t.GSO_TCP4, 500, 34, 16, bytes.length], entry);
  return { handle: handles[0]!, length: 100, bytes };
}

describe.each([
  ['split', false, 0n],
  ['split with indirect tables', false, f.VIRTIO_F_INDIRECT_DESC],
  ['packed', true, 0n],
  ['packed with indirect tables', true, f.VIRTIO_F_INDIRECT_DESC],
] as const)('the borrower of a queue with offloads: %s', (_, packed, indirect) => {
  const send = (tx: BorrowedTx, { handle, length }: { handle: number; length: number }): number =>
    tx.txBurst(Uint32Array.of(handle), Uint32Array.of(length), 1);

  it('sends a GSO packet in several buffers, and gets all of them back', async () => {
    const { driver, tx } = await lend(OFFLOADS | indirect, packed);
    const packet = gsoPacket(driver);
    expect(send(tx, packet)).toBe(1);
    expect(driver.account(driver.device.sent, tx.sent)).toEqual({ ...REST, pool: REST.pool - 3, tx: 3 });
    const ring = driver.transport.ring(1);
    const chain = ring.take()!;
    const sent = Uint8Array.from(ring.read(chain));
    expect(chain.segments).toHaveLength(3);
    expect(readHeader(sent)).toMatchObject({ flags: 1, gsoType: 1, gsoSize: 500, hdrLen: 54, csumStart: 34 });
    expect(sent.slice(12)).toEqual(packet.bytes);
    ring.use(chain, 0);
    tx.reclaimTx();
    expect(driver.account(driver.device.sent, tx.sent)).toEqual({ ...REST, pool: REST.pool - 3, sent: 3 });
    expect(driver.device.counters()).toMatchObject({ tx_packets: 1, tx_bytes: 1254 });
    while (tx.sent.available > 0) driver.device.pool.put(tx.sent.get());
  });

  it('drops what the device does not do, has its buffers, and it is counted', async () => {
    const { driver, tx } = await lend(indirect, packed);
    expect(send(tx, gsoPacket(driver))).toBe(1);
    expect(driver.account(driver.device.sent, tx.sent)).toEqual({ ...REST, pool: REST.pool - 3, sent: 3 });
    expect(driver.device.counters()).toMatchObject({ tx_packets: 0, tx_dropped_bad_offload: 1 });
  });

  it('has all buffers of a packet that was in the ring when the device was lost', async () => {
    const { driver, tx } = await lend(OFFLOADS | indirect, packed);
    send(tx, gsoPacket(driver));
    driver.transport.lose();
    await pass(RETRY_MS);
    expect(tx.isUp).toBe(true);
    expect(driver.account(driver.device.sent, tx.sent)).toEqual({ ...REST, pool: REST.pool - 3, sent: 3 });
    expect(driver.device.counters()).toMatchObject({ tx_packets: 1, tx_lost_on_reset: 1 });
    expect([...driver.device.table.words].every((word, i) => i % 8 !== t.FLAGS || word === 0)).toBe(true);
  });

  it('follows a device that returns with the other layout', async () => {
    const { driver, tx } = await lend(OFFLOADS | indirect, packed);
    const options = (driver.device as unknown as { options: { ring: string } }).options;
    options.ring = packed ? 'split' : 'packed';
    driver.transport.offered |= f.VIRTIO_F_RING_PACKED;
    send(tx, gsoPacket(driver));
    driver.transport.lose();
    await pass(RETRY_MS);
    driver.transport.ring(1).indirect = indirect !== 0n;
    const packet = gsoPacket(driver);
    expect(send(tx, packet)).toBe(1);
    const ring = driver.transport.ring(1);
    expect(ring.read(ring.take()!).subarray(12)).toEqual(Buffer.from(packet.bytes));
    expect(driver.account(driver.device.sent, tx.sent)).toEqual({ ...REST, pool: REST.pool - 6, tx: 3, sent: 3 });
  });
});
