/**
 * Where a virtio PCI device has its structures (virtio 1.2, 4.1.4): vendor-specific capabilities, each of which names a
 * range of a BAR.
 */
import { CAP_ID_VENDOR, CONFIG_SPACE_BYTES, configRead32, listCapabilities } from '../../pci/config-space.js';
import { COMMON_CONFIG_BYTES } from './common-config.js';

// struct virtio_pci_cap: id, next, len, cfg_type, bar, id, padding[2], le32 offset, le32 length.
const CAP_LEN = 2;
const CAP_CFG_TYPE = 3;
const CAP_BAR = 4;
const CAP_OFFSET = 8;
const CAP_LENGTH = 12;
const CAP_BYTES = 16;
/** struct virtio_pci_notify_cap: le32 notify_off_multiplier follows. */
const NOTIFY_MULTIPLIER = 16;
const NOTIFY_CAP_BYTES = 20;

const COMMON_CFG = 1;
const NOTIFY_CFG = 2;
const DEVICE_CFG = 4;

/** 4.1.4: "bar … values 0x0 to 0x5 …, any other value is reserved". */
const LAST_BAR = 5;

/** A range of a BAR, in bytes. */
interface BarRegion {
  readonly bar: number;
  readonly offset: number;
  readonly length: number;
}

export interface VirtioPciLayout {
  readonly common: BarRegion;
  readonly notify: BarRegion;
  /** Bytes between the notification addresses of queues (4.1.4.4); 0 when all queues share one. */
  readonly notifyMultiplier: number;
  /** The device-specific configuration, or null when the device has none. */
  readonly device: BarRegion | null;
}

/**
 * Reads the layout from the configuration space.
 * @param canMap whether a range of a BAR can be used. Of several capabilities of one type, the first usable one is
 * taken (4.1.4.1: the device orders them by its preference).
 * @throws Error with one line when a needed structure is missing or cannot be reached
 */
export function virtioPciLayout(
  config: Uint8Array,
  name: string,
  canMap: (bar: number, offset: number, length: number) => boolean,
): VirtioPciLayout {
  let common: BarRegion | null = null;
  let notify: BarRegion | null = null;
  let notifyMultiplier = 0;
  let device: BarRegion | null = null;
  let modern = false;
  const unusable: string[] = [];
  const usable = (region: BarRegion, what: string, leastBytes: number, alignment: number): boolean => {
    const { bar, offset, length } = region;
    if (length >= leastBytes && offset % alignment === 0 && canMap(bar, offset, length)) return true;
    unusable.push(`${what} (${length} bytes at 0x${offset.toString(16)} of BAR ${bar})`);
    return false;
  };
  for (const { id, offset: at } of listCapabilities(config, name)) {
    if (id !== CAP_ID_VENDOR || at + CAP_BYTES > CONFIG_SPACE_BYTES || config[at + CAP_LEN] < CAP_BYTES) continue;
    const region: BarRegion = {
      bar: config[at + CAP_BAR],
      offset: configRead32(config, at + CAP_OFFSET),
      length: configRead32(config, at + CAP_LENGTH),
    };
    if (region.bar > LAST_BAR) continue;
    const type = config[at + CAP_CFG_TYPE];
    if (type === COMMON_CFG) {
      modern = true;
      // 4.1.4.3.1: the offset is a multiple of 4.
      if (common === null && usable(region, 'the common configuration', COMMON_CONFIG_BYTES, 4)) common = region;
    } else if (
      type === NOTIFY_CFG &&
      config[at + CAP_LEN] >= NOTIFY_CAP_BYTES &&
      at + NOTIFY_CAP_BYTES <= CONFIG_SPACE_BYTES
    ) {
      // 4.1.4.4.1: the offset and the multiplier are even, so that 16-bit stores are aligned.
      const multiplier = configRead32(config, at + NOTIFY_MULTIPLIER);
      if (notify === null && multiplier % 2 === 0 && usable(region, 'the notification structure', 2, 2)) {
        notify = region;
        notifyMultiplier = multiplier;
      }
    } else if (type === DEVICE_CFG) {
      // 4.1.4.6.1: the offset is a multiple of 4.
      if (device === null && usable(region, 'the device configuration', 1, 4)) device = region;
    }
  }
  if (common !== null && notify !== null) return { common, notify, notifyMultiplier, device };
  if (!modern) {
    throw new Error(
      `${name}: the device has only the legacy interface of virtio 0.9, which tspmd does not drive; have its host offer ` +
        'the modern one (QEMU: disable-legacy=on, or disable-modern=off)',
    );
  }
  const missing = common === null ? 'common configuration' : 'notification structure';
  const because = unusable.length > 0 ? `: ${unusable.join(', ')} cannot be mapped` : '';
  throw new Error(`${name}: the device has no usable ${missing}${because}`);
}
