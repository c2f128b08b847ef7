/**
 * SetMetadata: gives metadata attributes of packets a value, or bytes of the packet (BESS: set_metadata.cc). The packets
 * stay as they are.
 */
import type { PacketBurst } from '../../../drivers/virtio/device/packet-burst.js';
import { BessError } from '../../errors.js';
import type { Batch } from '../batch.js';
import { Module } from '../module.js';
import { type Attribute, MAX_ATTRIBUTE_BYTES, type Metadata } from './attribute.js';

/** The largest offset in a packet, as in BESS (SNBUF_DATA). */
const MAX_OFFSET = 2048;

/** An attribute as a script gives it. With a value, what is behind it means nothing. */
export interface AttributeSetting {
  readonly name: string;
  readonly size: number;
  /** The value, in network order. */
  readonly value: Uint8Array | null;
  /** Where the value lies in the packet, in bytes from its beginning. */
  readonly offset: number;
  /** Bits of the bytes from the packet that are kept; null: all. */
  readonly mask: Uint8Array | null;
  /** By how many bytes the bytes from the packet are moved to the right; negative: to the left. */
  readonly shift: number;
}

/** Returns a number as `size` bytes in network order; null if it does not fit. */
export function bytesOfInteger(value: number, size: number): Uint8Array | null {
  const bytes = new Uint8Array(size);
  let rest = value;
  for (let i = size - 1; i >= 0; i--, rest = Math.floor(rest / 256)) bytes[i] = rest % 256;
  return rest === 0 ? bytes : null;
}

/** One attribute that the module sets. */
class Setter {
  /** The value as the words that it has in the attribute. */
  private readonly words: Int32Array;
  private readonly moved: Uint8Array;
  /** Whether no module before this one sets the attribute. */
  isFirst = false;

  constructor(
    readonly attribute: Attribute,
    private readonly setting: AttributeSetting,
  ) {
    const bytes = new Uint8Array(4 << attribute.shift);
    if (setting.value !== null) bytes.set(setting.value);
    this.words = new Int32Array(bytes.buffer);
    this.moved = new Uint8Array(setting.size);
  }

  set(batch: Batch): void {
    if (this.setting.value === null) {
      for (let i = 0; i < batch.count; i++) this.copyFrom(batch.burst, batch.indices[i]);
      return;
    }
    if (this.isFirst) {
      this.fill();
      return;
    }
    const { words } = this;
    const { shift } = this.attribute;
    const to = this.attribute.write();
    const { indices, count } = batch;
    for (let w = 0; w < words.length; w++) {
      const word = words[w];
      for (let i = 0; i < count; i++) to[(indices[i] << shift) + w] = word;
    }
  }

  /**
   * Gives all packets of the burst the value, if they do not have it already. Those of other batches have no value yet that
   * could be lost: no module before this one has set it.
   */
  private fill(): void {
    const { words, attribute } = this;
    if (attribute.holder === this) return;
    const to = attribute.write();
    for (let i = 0; i < to.length; i++) to[i] = words[i & (words.length - 1)];
    attribute.holder = this;
  }

  /** Takes the value from the packet. Bytes behind its end count as zeros. */
  private copyFrom(burst: PacketBurst, packet: number): void {
    const { offset, size, mask, shift } = this.setting;
    const { moved } = this;
    for (let i = 0; i < size; i++) {
      const from = i - shift;
      const at = offset + from;
      const byte = from >= 0 && from < size && at < burst.length[packet] ? burst.byteAt(packet, at) : 0;
      moved[i] = mask === null ? byte : byte & mask[i];
    }
    this.attribute.write();
    this.attribute.bytes.set(moved, packet << (this.attribute.shift + 2));
  }
}

export class SetMetadata extends Module {
  override readonly className = 'SetMetadata';
  override readonly writes: readonly Attribute[];
  private readonly setters: readonly Setter[];

  /** Throws EINVAL for a setting that is not possible. */
  constructor(name: string, metadata: Metadata, settings: readonly AttributeSetting[]) {
    super(name);
    if (settings.length === 0) throw new BessError('EINVAL', "'attrs' must be specified");
    for (const setting of settings) check(setting);
    this.setters = settings.map((setting) => new Setter(metadata.attribute(setting.name, setting.size), setting));
    this.writes = this.setters.map(({ attribute }) => attribute);
  }

  /** Sets which of its attributes no module before this one sets. */
  set first(attributes: readonly Attribute[]) {
    for (const setter of this.setters) setter.isFirst = attributes.includes(setter.attribute);
  }

  get first(): readonly Attribute[] {
    return this.setters.filter(({ isFirst }) => isFirst).map(({ attribute }) => attribute);
  }

  override describe(): string {
    return this.writes.map(({ name }) => name).join(' ');
  }

  override process(batch: Batch): void {
    const { setters } = this;
    for (let i = 0; i < setters.length; i++) setters[i].set(batch);
    this.emit(0, batch);
  }
}

/** Throws EINVAL, with BESS's texts. */
function check({ name, size, value, offset, mask, shift }: AttributeSetting): void {
  const fail = (text: string): never => {
    throw new BessError('EINVAL', name === '' ? text : `attribute '${name}': ${text}`);
  };
  if (name === '') fail("'name' field is missing");
  if (size < 1 || size > MAX_ATTRIBUTE_BYTES) fail(`'size' must be 1-${MAX_ATTRIBUTE_BYTES}`);
  if (value !== null) {
    if (value.length !== size) fail(`'value_bin' field has not a correct ${size}-byte value`);
    return;
  }
  if (offset < 0 || offset + size >= MAX_OFFSET) fail('invalid packet offset');
  if (!Number.isInteger(shift)) fail("'rshift_bits' must be a multiple of 8");
  if (Math.abs(shift) >= size) fail(`'rshift_bits' must be in (-${8 * size}, ${8 * size})`);
  if (mask !== null && mask.length !== size) fail(`'mask' field has not a correct ${size}-byte value`);
}
