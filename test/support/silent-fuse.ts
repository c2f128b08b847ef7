/**
 * A FUSE file system of one file, served by the test itself, that stops answering when it is told to: what waits for such a
 * file waits for as long as the test likes. It speaks the protocol over /dev/fuse, as Linux, include/uapi/linux/fuse.h has it.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { duplicateFile } from '../../drivers/libc/index.js';
import { temporaryDirectory } from './resources.js';

const IN_HEADER = 40;
const OUT_HEADER = 16;
const ROOT_ID = 1n;
const FILE_ID = 2n;
const FILE_BYTES = 65536;
const NAMES: Readonly<Record<number, string>> = {
  1: 'LOOKUP',
  2: 'FORGET',
  3: 'GETATTR',
  14: 'OPEN',
  15: 'READ',
  17: 'STATFS',
  18: 'RELEASE',
  25: 'FLUSH',
  26: 'INIT',
  36: 'INTERRUPT',
  42: 'BATCH_FORGET',
};
const ENOSYS = 38;
const POLL_MS = 2;

export class SilentFuse {
  /** From now on nothing is answered. */
  silent = false;
  /** What was asked since, by name. */
  readonly unanswered: string[] = [];
  private readonly timer: NodeJS.Timeout;
  private readonly buffer = Buffer.alloc(1 << 20);
  private isAborted = false;

  private constructor(
    private readonly device: number,
    private readonly folder: { path: string; remove: () => void },
  ) {
    this.timer = setInterval(() => this.serve(), POLL_MS);
  }

  static async mount(): Promise<SilentFuse> {
    const device = openSync('/dev/fuse', constants.O_RDWR | constants.O_NONBLOCK);
    const folder = temporaryDirectory();
    const options = 'fd=3,rootmode=40000,user_id=0,group_id=0,allow_other';
    const command = ['-i', '-n', '-t', 'fuse', '-o', options, 'silent', folder.path];
    const { status, stderr } = spawnSync('mount', command, {
      stdio: ['ignore', 'ignore', 'pipe', device],
      timeout: 10_000,
    });
    if (status === 0) return new SilentFuse(device, folder);
    closeSync(device);
    folder.remove();
    throw new Error(`mount: ${stderr}`);
  }

  get path(): string {
    return join(this.folder.path, 'file');
  }

  /** The file, open; the descriptor is the caller's. */
  async open(): Promise<number> {
    const handle = await open(this.path, 'r+');
    const fd = duplicateFile(handle.fd, this.path);
    await handle.close();
    return fd;
  }

  /** Ends the connection: whoever waits has an error. */
  abort(): void {
    if (this.isAborted) return;
    this.isAborted = true;
    clearInterval(this.timer);
    closeSync(this.device);
  }

  async unmount(): Promise<void> {
    this.abort();
    spawnSync('umount', ['-l', this.folder.path], { timeout: 10_000 });
    this.folder.remove();
  }

  private serve(): void {
    for (;;) {
      let length: number;
      try {
        length = readSync(this.device, this.buffer);
      } catch {
        // EAGAIN: nothing is asked.
        return;
      }
      const request = this.buffer.subarray(0, length);
      const name = NAMES[request.readUInt32LE(4)] ?? 'OTHER';
      if (this.silent) this.unanswered.push(name);
      else this.answer(name, request);
    }
  }

  private answer(name: string, request: Buffer): void {
    const node = request.readBigUInt64LE(16);
    switch (name) {
      case 'INIT': {
        const body = Buffer.alloc(64);
        body.writeUInt32LE(7, 0);
        body.writeUInt32LE(31, 4);
        body.writeUInt32LE(FILE_BYTES, 20);
        this.reply(request, body);
        break;
      }
      case 'LOOKUP': {
        const body = Buffer.alloc(40 + 88);
        body.writeBigUInt64LE(FILE_ID, 0);
        attributes(FILE_ID).copy(body, 40);
        this.reply(request, body);
        break;
      }
      case 'GETATTR':
        this.reply(request, Buffer.concat([Buffer.alloc(16), attributes(node)]));
        break;
      case 'OPEN':
        this.reply(request, Buffer.alloc(16));
        break;
      case 'READ':
        this.reply(request, Buffer.alloc(request.readUInt32LE(IN_HEADER + 16)));
        break;
      case 'FLUSH':
      case 'RELEASE':
        this.reply(request, Buffer.alloc(0));
        break;
      case 'FORGET':
      case 'BATCH_FORGET':
      case 'INTERRUPT':
        break;
      default:
        this.reply(request, Buffer.alloc(0), ENOSYS);
    }
  }

  private reply(request: Buffer, body: Buffer, errno = 0): void {
    const reply = Buffer.alloc(OUT_HEADER);
    reply.writeUInt32LE(OUT_HEADER + body.length, 0);
    reply.writeInt32LE(-errno, 4);
    request.copy(reply, 8, 8, 16);
    writeSync(this.device, Buffer.concat([reply, body]));
  }
}

/** struct fuse_attr. */
function attributes(node: bigint): Buffer {
  const attr = Buffer.alloc(88);
  attr.writeBigUInt64LE(node, 0);
  attr.writeBigUInt64LE(node === ROOT_ID ? 0n : BigInt(FILE_BYTES), 8);
  attr.writeUInt32LE(node === ROOT_ID ? 0o40755 : 0o100666, 60);
  attr.writeUInt32LE(1, 64);
  attr.writeUInt32LE(4096, 80);
  return attr;
}
