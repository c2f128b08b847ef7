/**
 * The base of the modules that put a header in front of packets. A packet that stands for many TCP segments is cut first,
 * because the headers of the segments differ; each segment has the metadata of the packet.
 */
import { SoftwareOffload } from '../../../drivers/virtio/device/software-offload.js';
import { GSO } from '../../../rings/packet-table.js';
import { Batch, emptyBurst } from '../batch.js';
import { HeaderBurst } from './header-burst.js';
import type { HeaderMemory } from './header-memory.js';
import { onlyPacket, Reason, TunnelModule } from './tunnel-module.js';

/**
 * The most segments that are cut out of the packets of one batch behind a Replicate. Nobody sends TCP to many stations, and a
 * burst for 32 hosts would keep all other ports waiting; what is flooded because its station is not known fits.
 */
const MAX_REPLICATED_SEGMENTS = 256;

export abstract class EncapModule extends TunnelModule {
  /** The packets with their headers. */
  protected readonly out: HeaderBurst;
  /** Packets between two that are cut. */
  private readonly run = new Batch();
  /** A segment, with the number of its packet. */
  private readonly segment = new Batch();
  private readonly segmentBurst = emptyBurst();
  private readonly software: SoftwareOffload;
  /** Segments that may still be cut out of the packets of this batch. */
  private allowed = 0;

  constructor(name: string, memory: HeaderMemory, headerBytes: number) {
    super(name);
    this.out = new HeaderBurst(memory, headerBytes);
    this.software = new SoftwareOffload(memory.windows);
  }

  /** Puts headers in front of packets, none of which is to be cut, and passes them on. */
  protected abstract encapsulate(batch: Batch): void;

  override process(batch: Batch): void {
    if (batch.burst.offloaded === 0) this.encapsulate(batch);
    else this.processUnfinished(batch);
  }

  override close(): void {
    this.software.close();
  }

  /** As {@link process}, for a burst with flags. Packets keep their order. */
  private processUnfinished(batch: Batch): void {
    const { burst, indices, count } = batch;
    const { run } = this;
    this.allowed = batch.replicated ? MAX_REPLICATED_SEGMENTS : Number.MAX_SAFE_INTEGER;
    run.beginLike(batch);
    for (let i = 0; i < count; i++) {
      const packet = indices[i];
      if ((burst.flags[packet] & GSO) === 0) {
        run.add(packet);
        continue;
      }
      if (run.count > 0) this.encapsulate(run);
      run.beginLike(batch);
      this.cutPacket(batch, packet);
    }
    if (run.count > 0) this.encapsulate(run);
  }

  private cutPacket(batch: Batch, packet: number): void {
    const { software, segment, segmentBurst } = this;
    this.allowed -= Math.ceil(batch.burst.length[packet] / batch.burst.gsoSize[packet]);
    if (this.allowed < 0 || !software.begin(batch.burst, packet, true)) {
      this.drop(batch, packet, Reason.badOffload);
      return;
    }
    const made = software.burst;
    let segments = 0;
    while (software.next()) {
      segments++;
      segmentBurst.memory = made.memory;
      segmentBurst.segments = 1;
      segmentBurst.offloaded = made.offloaded;
      segmentBurst.firstSegment[packet] = 0;
      segmentBurst.firstSegment[packet + 1] = 1;
      segmentBurst.segmentOffset[0] = made.segmentOffset[0];
      segmentBurst.segmentLength[0] = made.segmentLength[0];
      segmentBurst.length[packet] = made.length[0];
      segmentBurst.flags[packet] = made.flags[0];
      segmentBurst.csumStart[packet] = made.csumStart[0];
      segmentBurst.csumOffset[packet] = made.csumOffset[0];
      this.encapsulate(onlyPacket(segment, segmentBurst, packet, batch));
    }
    this.cut += segments - 1;
  }
}
