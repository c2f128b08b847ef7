/** Lets `tspmd list` and `tspmd stats` find a command that drives a port. The command works without it, too. */
import { basename } from 'node:path';
import { messageOf } from '../../../drivers/log/message-of.js';
import type { ProcessInfo } from '../../../observe/control/process-info.js';
import { Observer } from '../../../observe/thread/observer.js';
import type { Port } from '../../index.js';
import { addressText } from '../output/lease-lines.js';
import { warn } from '../output/lines.js';
import { snapshotOf } from './port-snapshot.js';

/** The name of a process without `--name`: that of its app or program, without folder and extension. */
export const nameOf = (file: string): string => basename(file).replace(/\.[cm]?[jt]s$/, '');

export class ObservedPort {
  private port: Port | null = null;
  private info: ProcessInfo;
  private observer: Observer | null = null;
  private readonly opening: Promise<void>;

  /** Begins while the command opens its device, which may take long: the process is `starting` then. */
  constructor(about: Pick<ProcessInfo, 'kind' | 'name' | 'mode'> & { readonly device: string }) {
    const { kind, name, mode, device } = about;
    this.info = { kind, name, mode, state: 'starting', devices: [device], address: null };
    const opened = (observer: Observer): void => {
      this.observer = observer;
    };
    this.opening = Observer.start(this.info, () => this.snapshot()).then(opened, (error: unknown) => {
      warn(`${messageOf(error)}; tspmd stats does not find this process`);
    });
  }

  /** Tells that packets can flow. Resolves when the process can be asked. */
  async ready(port: Port): Promise<void> {
    this.port = port;
    await this.opening;
    const update = (): void => {
      this.info = { ...this.info, state: 'ready', devices: [port.name], address: addressText(port) };
      this.observer?.update(this.info);
    };
    port.on('address', update);
    update();
  }

  async close(): Promise<void> {
    await this.opening;
    await this.observer?.close();
  }

  /** Removes the control socket, because the process ends at once. */
  readonly removeNow = (): void => this.observer?.removeNow();

  private snapshot(): object {
    return this.port === null ? {} : { port: snapshotOf(this.port) };
  }
}
