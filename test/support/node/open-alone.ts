/** A host without peers, whose stack delivers to itself what it sends to its own address. */
import { type Core, init } from '../../../src/index.js';
import { NetHost } from '../../../src/node/host.js';
import { neighbourMac } from '../../../src/testing/fake-port.js';
import { formatIpv4 } from '../../../src/wire/address.js';
import { LiveCable } from './live-cable.js';

/** 10.0.0.1 */
const ADDRESS = 0x0a000001;
export const OWN_ADDRESS = formatIpv4(ADDRESS);

/** Opens a host, for the rest of the process. @param makeHost makes it. Default: a plain one */
export async function openAlone(makeHost = (core: Core) => new NetHost(core)): Promise<NetHost> {
  const port = await init(
    { device: 'vhost-user:cable', ip: `${OWN_ADDRESS}/24` },
    { warn: () => {}, openDevice: async () => new LiveCable({ mac: neighbourMac(ADDRESS) }) },
  );
  const host = makeHost(port.core());
  void host.run(new AbortController().signal);
  return host;
}
