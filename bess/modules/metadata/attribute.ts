/**
 * Metadata: values that a module attaches to packets for the modules behind it (BESS: metadata.h). An attribute has a
 * name and a size. It holds one value per packet of a burst, by the packet's number in the burst.
 *
 * The values are in network order. They lie in one array per attribute and switch, made when the first module that uses
 * the attribute is made. That is enough, because a task delivers all packets of a burst before the next burst is taken,
 * and because modules that make bursts of their own keep the numbers of the packets.
 */
import { MAX_BURST } from '../../../drivers/virtio/device/packet-burst.js';
import { BessError } from '../../errors.js';

/** The longest value, in bytes (BESS: kMetadataAttrMaxSize). */
export const MAX_ATTRIBUTE_BYTES = 32;

export class Attribute {
  /** log2 of the words between the values of two packets. */
  readonly shift: number;
  /** The value of packet i begins at word `i << shift`. The words hold its bytes as they lie in a packet. */
  readonly words: Int32Array;
  /** The same memory as bytes: the value of packet i begins at byte `i << (shift + 2)`. */
  readonly bytes: Uint8Array;
  /** Who has given all packets its own one value since the last {@link write}; null: nobody. */
  holder: object | null = null;

  constructor(
    readonly name: string,
    /** Bytes of a value. */
    readonly size: number,
  ) {
    this.shift = size <= 4 ? 0 : size <= 8 ? 1 : size <= 16 ? 2 : 3;
    const buffer = new ArrayBuffer(4 * (MAX_BURST << this.shift));
    this.words = new Int32Array(buffer);
    this.bytes = new Uint8Array(buffer);
  }

  /** Returns {@link words}, to be written. */
  write(): Int32Array {
    this.holder = null;
    return this.words;
  }
}

/** The attributes of a switch, by name. */
export class Metadata {
  private readonly attributes = new Map<string, Attribute>();

  /**
   * Returns the attribute of this name, which all modules share. Throws EINVAL if another module uses the name with
   * another size.
   * @param size bytes, 1 to {@link MAX_ATTRIBUTE_BYTES}
   */
  attribute(name: string, size: number): Attribute {
    const known = this.attributes.get(name);
    if (known === undefined) {
      const made = new Attribute(name, size);
      this.attributes.set(name, made);
      return made;
    }
    if (known.size === size) return known;
    const bytes = (n: number): string => (n === 1 ? '1 byte' : `${n} bytes`);
    const other = `another module uses it with ${bytes(known.size)}`;
    throw new BessError('EINVAL', `the metadata attribute '${name}' cannot have ${bytes(size)}: ${other}`);
  }
}
