/** The other end of a guest's NIC: one Ethernet frame per UDP datagram, on loopback. It needs no privileges. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

/** A datagram socket on loopback, at a port that was free. */
export async function bound(port = 0): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(port, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

/** A free port: for QEMU's end. */
export async function freePort(): Promise<number> {
  const socket = await bound();
  const { port } = socket.address() as AddressInfo;
  socket.close();
  return port;
}

export class DgramLink {
  /** Frames that the guest sent, the oldest first. */
  readonly frames: Buffer[] = [];
  private readonly listeners = new Set<() => void>();

  private constructor(
    private readonly socket: Socket,
    private readonly remote: number,
  ) {
    socket.on('message', (frame) => {
      this.frames.push(frame);
      for (const listener of this.listeners) listener();
    });
  }

  static async open(): Promise<DgramLink> {
    return new DgramLink(await bound(), await freePort());
  }

  /** For the lab's `--netdev`. */
  get netdev(): string {
    return `dgram:${this.remote}:${this.socket.address().port}`;
  }

  async send(frame: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) =>
      this.socket.send(frame, this.remote, '127.0.0.1', (error) => (error ? reject(error) : resolve())),
    );
  }

  /** The first frame that `matches`, received already or later; rejects when none comes in time. */
  receive(what: string, matches: (frame: Buffer) => boolean, timeoutMs = 20_000): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const finish = (act: () => void): void => {
        clearTimeout(timer);
        this.listeners.delete(look);
        act();
      };
      const timer = setTimeout(() => finish(() => reject(new Error(`no ${what} within ${timeoutMs} ms`))), timeoutMs);
      const look = (): void => {
        const frame = this.frames.find(matches);
        if (frame) finish(() => resolve(frame));
      };
      this.listeners.add(look);
      look();
    });
  }

  close(): void {
    this.socket.close();
  }
}
