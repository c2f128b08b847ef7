/** Two hosts in one thread, joined by a cable: 10.0.0.1 and 10.0.0.2. */
import { type Core, init, type SinglePort } from '../../../src/index.js';
import { NetHost } from '../../../src/node/host.js';
import { neighbourMac } from '../../../src/testing/fake-port.js';
import { formatMac, parseIpv4 } from '../../../src/wire/address.js';
import { LiveCable } from './live-cable.js';

const BUFFERS = 8192;
export const CLIENT_ADDRESS = '10.0.0.1';
export const SERVER_ADDRESS = '10.0.0.2';

export interface CabledHosts {
  readonly client: NetHost;
  readonly server: NetHost;
  /** Ends both hosts. Rejects with what has ended one of them before. */
  close(): Promise<void>;
}

const macOf = (address: string): Uint8Array => neighbourMac(parseIpv4(address));

async function openPort(own: string, other: string): Promise<{ port: SinglePort; device: LiveCable }> {
  const device = new LiveCable({ mac: macOf(own), buffers: BUFFERS });
  const port = await init(
    { device: 'vhost-user:cable', ip: `${own}/24`, neighbours: { [other]: formatMac(macOf(other)) } },
    { warn: () => {}, openDevice: async () => device },
  );
  return { port, device };
}

/** @param makeHost makes the hosts. Default: plain ones */
export async function openCabledHosts(makeHost = (core: Core) => new NetHost(core)): Promise<CabledHosts> {
  const one = await openPort(CLIENT_ADDRESS, SERVER_ADDRESS);
  const two = await openPort(SERVER_ADDRESS, CLIENT_ADDRESS);
  one.device.peer = two.device;
  two.device.peer = one.device;
  const cores = [one.port.core(), two.port.core()] as const;
  const [client, server] = [makeHost(cores[0]), makeHost(cores[1])];
  const end = new AbortController();
  const ended = Promise.all([client.run(end.signal), server.run(end.signal)]);
  ended.catch(() => {});
  const close = async (): Promise<void> => {
    end.abort();
    try {
      await ended;
    } finally {
      await one.port.stop();
      await two.port.stop();
    }
  };
  return { client, server, close };
}
