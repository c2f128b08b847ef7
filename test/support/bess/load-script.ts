/** Runs a script whose ports have fake devices. */
import { loadScript } from '../../../bess/script/load.js';
import type { Switch } from '../../../bess/switch.js';
import { FakePortDevice } from './fake-port.js';

export interface LoadOptions {
  /** Gets each device when its port is made. */
  readonly opened?: (device: FakePortDevice) => void;
  /** Called when the devices of the switch are closed. */
  readonly closed?: () => void;
  readonly print?: (line: string) => void;
  readonly log?: (line: string) => void;
}

const NOTHING = (): void => {};

export async function loadWithFakes(
  file: string,
  variables: Readonly<Record<string, string>>,
  { opened = NOTHING, closed = NOTHING, print = NOTHING, log = NOTHING }: LoadOptions = {},
): Promise<{ bess: Switch; devices: FakePortDevice[] }> {
  const devices: FakePortDevice[] = [];
  const open = (queues: number): FakePortDevice => {
    const device = new FakePortDevice(queues);
    devices.push(device);
    opened(device);
    return device;
  };
  const bess = await loadScript(file, variables, {
    devices: { vhost: ({ queues }) => open(queues), tap: () => open(1), afPacket: () => open(1), close: closed },
    print,
    log,
  });
  return { bess, devices };
}
