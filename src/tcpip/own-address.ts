/**
 * Our address as all parts of one stack see it. It changes only at the beginning of a poll, so that a burst and what
 * answers it have the same address. {@link TcpIp} is the one writer.
 */
export class OwnAddress {
  /** @param address signed; 0 while we have none */
  constructor(public address: number) {}
}
