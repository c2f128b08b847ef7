/** What one ACK has told. There is one object per {@link Recovery}, which is filled anew for each ACK. */
export class AckEvent {
  /** SEG.ACK, and SND.UNA before it. */
  ack = 0;
  una = 0;
  /** Bytes that the ACK number acknowledges newly. */
  acked = 0;
  /** Bytes that have left the network: newly acknowledged or SACKed, each byte once (RFC 6937, 2: DeliveredData). */
  delivered = 0;
  /** Bytes that are SACKed newly. */
  sacked = 0;
  /** Records that the ACK number acknowledges newly. */
  records = 0;
  /** A record that had been sent again was acknowledged by the ACK number. */
  ackedRetransmitted = false;
  /** A record that was sent once, before RECOVERY_POINT, was acknowledged or SACKed newly (RFC 5682, 3). */
  ackedOriginal = false;
  /** The ACK is a duplicate in the sense of RFC 5681, 2. */
  duplicate = false;
  /** The ACK has SACK blocks. */
  hasSacks = false;
  /** The first block was a D-SACK (RFC 2883, 4); its edges. */
  dsack = false;
  dsackStart = 0;
  dsackEnd = 0;
  /** It is about a tail loss probe. */
  dsackOfProbe = false;
  /** The ACK has a timestamp; its echo on our clock in ms. */
  hasEcho = false;
  echoMs = 0;
  /** RTT in µs from the oldest and the newest record that was sent once and acknowledged newly; -1: none. */
  rtt = -1;
  shortRtt = -1;
  /** The same from records that were SACKed newly. */
  sackRtt = -1;
  shortSackRtt = -1;
  /** Least round trip time in µs of the records that the ACK reports, for RACK.rtt; -1: none. */
  rackRtt = -1;
  /** RACK.fack before the ACK. */
  highest = 0;
  /** Pipe before the ACK, in bytes. */
  pipe = 0;

  begin(ack: number, una: number, highest: number, pipe: number): void {
    this.ack = ack;
    this.una = una;
    this.acked = (ack - una) | 0;
    this.delivered = 0;
    this.sacked = 0;
    this.records = 0;
    this.ackedRetransmitted = false;
    this.ackedOriginal = false;
    this.duplicate = false;
    this.hasSacks = false;
    this.dsack = false;
    this.dsackOfProbe = false;
    this.hasEcho = false;
    this.rtt = -1;
    this.shortRtt = -1;
    this.sackRtt = -1;
    this.shortSackRtt = -1;
    this.rackRtt = -1;
    this.highest = highest;
    this.pipe = pipe;
  }
}
