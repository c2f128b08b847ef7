/** A PCI function whose configuration space and registers say anything: it is driven, or refused by a line. */
import { type MemoryViews, MemoryWindow, type PacketMemory } from '../../../drivers/memory/index.js';
import type { PciFunction } from '../../../drivers/pci/pci-function.js';
import { VirtioPciTransport } from '../../../drivers/transports/virtio-pci/transport.js';
import { VIRTIO_NET_F_MAC, VIRTIO_NET_F_MTU, VIRTIO_NET_F_STATUS } from '../../../drivers/virtio/features.js';
import { DeviceStatus, negotiateFeatures } from '../../../drivers/virtio/negotiation.js';
import { NetConfigSpace } from '../../../drivers/virtio/net-config.js';
import { modernCapabilities, pciConfig } from '../../support/pci/virtio-pci-config.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const NAME = '0000:00:04.0';
const BAR_BYTES: readonly number[] = [0, 4096, 0, 0, 16384, 0];
const CONFIG_FIELDS = VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MTU;
const NO_EVENTS = { onInterrupt: () => {}, onConfigChange: () => {}, onLost: () => {} };

export const virtioPci: FuzzTarget = {
  name: 'virtio-pci',
  summary:
    'configuration space, capability list and registers of a PCI function: driven inside its structures or refused by a line',
  maxBytes: 512,
  prepare(feedback) {
    const sound = pciConfig(modernCapabilities());
    const config = new Uint8Array(256);
    const bars = BAR_BYTES.map((bytes): MemoryViews => {
      const buffer = new SharedArrayBuffer(bytes);
      return { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
    });
    const before = BAR_BYTES.map((bytes) => new Uint32Array(bytes / 4));
    const window = MemoryWindow.reserve(1);
    const memory = { u8: window.u8, u16: window.u16, u32: window.u32, size: window.size } as unknown as PacketMemory;
    let open = 0;
    const pci: PciFunction = {
      name: NAME,
      config: { read: () => config.slice(), write16: () => {} },
      canMap: (bar, offset, length) => offset + length <= BAR_BYTES[bar]!,
      mapBar: (bar) => bars[bar]!,
      interruptVectors: 0,
      setInterrupts: () => {},
      mapMemory: () => 0x20_0000,
      canReset: false,
      reset: () => {},
      close: () => void open--,
    };

    const drive = async (transport: VirtioPciTransport): Promise<number> => {
      await transport.connect(memory, NO_EVENTS);
      const { layout } = (transport as unknown as { connection: { layout: Regions } }).connection;
      for (const region of [layout.common, layout.notify, layout.device]) {
        if (region === null) continue;
        check(region.offset + region.length <= (BAR_BYTES[region.bar] ?? 0), 'a structure outside its BAR');
      }
      await transport.reset();
      const status = new DeviceStatus(transport);
      const features = await negotiateFeatures(transport, status, {}, 2048);
      const { mac, mtu } = await NetConfigSpace.read(transport, features & CONFIG_FIELDS);
      check(mac === null || (mac.length === 6 && (mac[0]! & 1) === 0), 'a group MAC address');
      check(mtu === null || (mtu >= 68 && mtu <= 2048), `an MTU of ${mtu}`);
      for (let i = 0; i < BAR_BYTES.length; i++) before[i]!.set(bars[i]!.u32);
      let queues = 0;
      for (let queue = 0; queue < 3; queue++) {
        if ((await transport.maxQueueSize(queue)) < 2) continue;
        const doorbell = await transport.setupQueue(
          queue,
          { size: 2, descriptors: 0, driver: 128, device: 256 },
          false,
        );
        doorbell.ring(0);
        queues++;
        // What is enabled now would be enabled for the next queue, too: there is no device behind the registers.
        bars[layout.common.bar]!.u16[(layout.common.offset + 28) >>> 1] = 0;
      }
      for (let bar = 0; bar < BAR_BYTES.length; bar++) {
        const { u32 } = bars[bar]!;
        for (let i = 0; i < u32.length; i++) {
          if (u32[i] === before[bar]![i]) continue;
          const isCommon = bar === layout.common.bar && meets(4 * i, layout.common.offset, 56);
          const isNotify = bar === layout.notify.bar && meets(4 * i, layout.notify.offset, layout.notify.length);
          check(isCommon || isNotify, `word ${i} of BAR ${bar} was written, outside the structures`);
        }
      }
      return queues;
    };

    const run = async (input: Input): Promise<void> => {
      config.set(sound);
      for (const bar of bars) bar.u32.fill(0);
      fillRegisters(input, bars[4]!);
      while (input.left > 0) {
        const what = input.u8();
        const at = input.u8();
        const value = input.u8();
        if ((what & 3) === 0) bars[4]!.u8[(at << 6) | (value & 63)] = input.u8();
        // In the list and in the capabilities, more often than in the header.
        else if ((what & 3) === 1) config[0x40 + (at % 0x90)] = value;
        else config[at] = value;
      }
      const transport = new VirtioPciTransport(NAME, () => {
        open++;
        return pci;
      });
      let state = 0;
      try {
        state = 0x100 + (await drive(transport));
      } catch (error) {
        const { name, message } = error as Error;
        // A driver's words about a device: one line that names it.
        if (name !== 'Error' || !message.startsWith(`${NAME}: `) || message.includes('\n')) throw error;
        for (let i = 0; i < message.length; i++)
          state = (state * 31 + (message.charCodeAt(i) >= 0x41 ? message.charCodeAt(i) : 0)) & 0xff;
      } finally {
        await transport.close();
      }
      check(open === 0, 'the function was not given back');
      feedback.mark(state);
    };
    return { run };
  },
};

interface Region {
  bar: number;
  offset: number;
  length: number;
}

interface Regions {
  common: Region;
  notify: Region;
  device: Region | null;
}

/** Whether the word at `at` has a byte of the structure. */
function meets(at: number, offset: number, length: number): boolean {
  return at + 4 > offset && at < offset + length;
}

/** Registers as on a device that works, where the structures of the sound configuration space are. */
function fillRegisters(input: Input, bar: MemoryViews): void {
  const shape = input.u8();
  bar.u32[1] = input.u32() | 1;
  bar.u16[9] = 3;
  bar.u16[12] = 256;
  bar.u16[15] = shape;
  bar.u8.set([0x52, 0x54, 0, 0, 0, 1, 1, 0, 1, 0, 0xdc, 5], 0x2000);
}
