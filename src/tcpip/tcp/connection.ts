/** The object that an application holds for a connection. There is one per row of the table, which is used again. */

import { ArgumentError } from '../../errors.js';
import { INSPECT } from '../../inspect.js';
import { formatIpv4 } from '../../wire/address.js';
import { checkOption } from '../check-option.js';
import type { Calls } from './calls.js';
import { connectionInfo } from './info.js';
import { MAX_MS } from './settings.js';
import type { Connection, ConnectionInfo } from './state/api.js';
import { BYTES_READ, BYTES_WRITTEN, PORTS, REMOTE, STATE } from './state/rows.js';
import { stateName } from './state/state-names.js';

export class TcpConnection implements Connection {
  context: unknown = undefined;

  /** @param r offset of the row */
  constructor(
    private readonly calls: Calls,
    private readonly r: number,
  ) {}

  get remoteAddress(): string {
    return formatIpv4(this.calls.i32[this.r + REMOTE]);
  }

  get remotePort(): number {
    return this.calls.i32[this.r + PORTS] & 0xffff;
  }

  get localAddress(): string {
    return formatIpv4(this.calls.local.address);
  }

  get localPort(): number {
    return this.calls.i32[this.r + PORTS] >>> 16;
  }

  get state(): string {
    return stateName(this.calls.i32[this.r + STATE]);
  }

  get writable(): number {
    return this.calls.writable(this.r);
  }

  get buffered(): number {
    return this.calls.buffered(this.r);
  }

  get unread(): number {
    return this.calls.unread(this.r);
  }

  get bytesRead(): number {
    return this.calls.f64[(this.r >> 1) + BYTES_READ];
  }

  get bytesWritten(): number {
    return this.calls.f64[(this.r >> 1) + BYTES_WRITTEN];
  }

  write(bytes: Uint8Array, offset = 0, length = bytes.length - offset): number {
    // Written in this way so that NaN fails, too.
    if (!(offset >= 0 && length >= 0 && offset + length <= bytes.length)) {
      throw new ArgumentError(`write: ${length} bytes from ${offset} on are not within ${bytes.length} bytes`);
    }
    return this.calls.write(this.r, bytes, offset, length);
  }

  end(): void {
    this.calls.end(this.r);
  }

  abort(): void {
    this.calls.abort(this.r);
  }

  pause(): void {
    this.calls.pause(this.r);
  }

  resume(): void {
    this.calls.resume(this.r);
  }

  setNoDelay(noDelay: boolean): void {
    this.calls.setNoDelay(this.r, noDelay);
  }

  setKeepAlive(idleMs: number): void {
    checkOption('setKeepAlive', 'idleMs', idleMs, 0, MAX_MS);
    this.calls.setKeepAlive(this.r, idleMs);
  }

  info(): ConnectionInfo {
    return connectionInfo(this.calls, this.r);
  }

  /** One line for `console.log`, which would otherwise show the whole stack. */
  [INSPECT](): string {
    const { localAddress, localPort, remoteAddress, remotePort, state } = this;
    return `Connection ${localAddress}:${localPort} <-> ${remoteAddress}:${remotePort} ${state}`;
  }
}
