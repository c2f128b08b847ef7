/** Opens a device, and puts the network of a Node program on it. */
import { messageOf } from '../../drivers/log/message-of.js';
import type { SingleConfig } from '../config.js';
import { init } from '../init.js';
import type { SinglePort } from '../port.js';
import { clearCurrentHost, setCurrentHost } from './current.js';
import { NetHost, type NetHostOptions } from './host.js';

/** A host with a device of its own, from {@link openHost}. */
export class DeviceHost extends NetHost {
  private readonly end = new AbortController();
  private readonly ended: Promise<void>;

  /** Only for {@link openHost}. */
  constructor(
    /** The device. */
    readonly port: SinglePort,
    options: NetHostOptions,
  ) {
    super(port.core(), options);
    this.ended = this.run(this.end.signal);
    // Whoever closes the host gets the error, too. Sockets only see that they are reset, and servers nothing.
    this.ended.catch((error: Error) => {
      if (this.end.signal.aborted) return;
      process.emitWarning(`${port.name}: the stack has ended: ${messageOf(error)}`, { code: 'TSPMD_STACK_ENDED' });
    });
    process.on('exit', this.exit);
  }

  /** The process exits: the peers hear of it, as they do from the kernel. */
  private readonly exit = (): void => {
    this.endNow();
    this.end.abort();
    // What can be done at once is done; the rest does the end of the process.
    this.port.stop().catch(() => {});
  };

  /**
   * Resets what connections there are, and gives the device back.
   * @throws (rejects) what has ended the host before, if something has
   */
  async close(): Promise<void> {
    clearCurrentHost(this);
    process.off('exit', this.exit);
    try {
      this.end.abort();
      await this.ended;
    } finally {
      await this.port.stop();
    }
  }

  /** The same as {@link close}, for `await using host = await openHost(…)`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Opens a device and runs a TCP/IP stack on it, in this thread. From then on `tspmd/net` and `tspmd/dgram` use this
 * host. The device alone does not keep the process alive: sockets and servers do, as ever. The default
 * of `offloads` is `auto`.
 * @throws (rejects) as `init`
 */
export async function openHost(config: SingleConfig, options: NetHostOptions = {}): Promise<DeviceHost> {
  const port = await init({ ...config, mode: 'single', offloads: config.offloads ?? 'auto' });
  try {
    const host = new DeviceHost(port, options);
    setCurrentHost(host);
    return host;
  } catch (error) {
    await port.stop();
    throw error;
  }
}
