/** Received packets that wait for the stack, first in, first out. Room for every buffer of the pool: it is never full. */
export class WaitingPackets {
  private readonly handles: Uint32Array;
  private readonly mask: number;
  private head = 0;
  private waiting = 0;

  /** @param buffers how many buffers the pool has */
  constructor(buffers: number) {
    const size = 2 ** Math.ceil(Math.log2(buffers));
    this.handles = new Uint32Array(size);
    this.mask = size - 1;
  }

  get count(): number {
    return this.waiting;
  }

  push(handle: number): void {
    this.handles[(this.head + this.waiting) & this.mask] = handle;
    this.waiting++;
  }

  /** Takes the first; there must be one. */
  shift(): number {
    const handle = this.handles[this.head]!;
    this.head = (this.head + 1) & this.mask;
    this.waiting--;
    return handle;
  }
}
