/** A UDP socket, as applications see it. */
import { formatIpv4 } from '../../wire/address.js';
import type { NetError } from '../errors.js';

/** What an application does with a socket's events. One set may serve many sockets. The stack calls them from its poll. */
export interface UdpHandlers {
  /**
   * Takes a received datagram.
   * @param bytes that hold it, and much else. They are valid during the call only, and must not be written
   * @param offset of the first byte of the payload in `bytes`
   * @param length of the payload in bytes; may be 0
   * @param address of the sender, a signed number: `formatIpv4` of `tspmd/wire` makes text of it. A text per datagram
   * would be an allocation per datagram
   * @param port of the sender; 0 when it wants no answer
   */
  message?(socket: UdpSocket, bytes: Uint8Array, offset: number, length: number, address: number, port: number): void;
  /**
   * Takes an error about a datagram of a connected socket: ECONNREFUSED when nobody listens at the port of the peer,
   * EHOSTUNREACH or ENETUNREACH when it cannot be reached. The socket stays open. Anybody on the way can forge such an
   * error.
   */
  error?(socket: UdpSocket, error: NetError): void;
}

/** Options of {@link Udp.bind}. */
export interface UdpBindOptions {
  /** The local port, 0 to 65535. 0, the default, chooses a free one above 32,767. */
  readonly port?: number;
  /** Our own address: broadcasts and multicasts are not received. Default 0.0.0.0: everything to the port is. */
  readonly address?: string;
  /** Connects the socket, as {@link UdpSocket.connect} does. Then other sockets with other peers may use the port. */
  readonly peer?: { readonly address: string; readonly port: number };
  /** Whether datagrams may be sent to a broadcast address. Default false. */
  readonly broadcast?: boolean;
}

/** What a socket needs of UDP. */
export interface SocketOwner {
  send(socket: UdpSocket, bytes: Uint8Array, offset: number, length: number, address: number, port: number): boolean;
  connect(socket: UdpSocket, address: string, port: number): void;
  disconnect(socket: UdpSocket): void;
  close(socket: UdpSocket): void;
}

/** `peerPort` of a socket that is not connected: no datagram is sent to port 0. */
export const NOT_CONNECTED = 0;

/** A UDP socket of one core. `net.udp.bind` makes it. */
export class UdpSocket {
  /** For the application. */
  context: unknown = null;
  /** Datagrams that were received. */
  received = 0;
  /** Datagrams that were sent. */
  sent = 0;
  /** Datagrams that could not be sent, because no buffer was free or the ring was full. */
  failed = 0;
  /** ICMP errors about datagrams of the socket. */
  errors = 0;
  /** Time to live of the datagrams to single hosts, 1 to 255. 0, the default: that of the stack. */
  ttl = 0;
  /** Time to live of the datagrams to groups, 1 to 255. 0, the default: that of the stack. */
  multicastTtl = 0;
  /** @internal The next socket of the same local port. */
  next: UdpSocket | null = null;
  /** @internal */
  isOpen = true;
  /** @internal Signed. */
  peer = 0;
  /** @internal */
  peerPort = NOT_CONNECTED;

  /** @internal */
  constructor(
    private readonly owner: SocketOwner,
    /** @internal */
    readonly handlers: UdpHandlers,
    /** @internal */
    public port: number,
    /** @internal Whether the port was chosen by the stack. */
    readonly isPortChosen: boolean,
    /** @internal */
    readonly takesGroups: boolean,
    /** Whether datagrams may be sent to a broadcast address. It may be changed. */
    public mayBroadcast: boolean,
  ) {}

  /** The local port. */
  get localPort(): number {
    return this.port;
  }

  /** Address of the peer of a connected socket; otherwise null. */
  get remoteAddress(): string | null {
    return this.peerPort === NOT_CONNECTED ? null : formatIpv4(this.peer);
  }

  /** Port of the peer of a connected socket; otherwise null. */
  get remotePort(): number | null {
    return this.peerPort === NOT_CONNECTED ? null : this.peerPort;
  }

  /**
   * Sends a datagram. The bytes are copied. One that is longer than the path allows is sent in fragments.
   * @param bytes that hold the payload; the bytes of a received datagram will do
   * @param offset of the payload in `bytes`
   * @param length of the payload in bytes, at most 65,507
   * @param address of the receiver as a number, signed or unsigned: `parseIpv4` of `tspmd/wire` makes it of text. Leave
   * it and `port` out if the socket is connected
   * @returns false when no buffer is free or the ring is full: nothing was sent, try again later
   * @throws NetError EMSGSIZE when it is too long; EACCES for a broadcast without the option `broadcast`; EINVAL when
   * the socket is closed, or the range or the receiver is wrong
   */
  send(
    bytes: Uint8Array,
    offset = 0,
    length = bytes.length - offset,
    address = this.peer,
    port = this.peerPort,
  ): boolean {
    return this.owner.send(this, bytes, offset, length, address, port);
  }

  /**
   * Connects the socket: from now on it receives only from this peer, {@link send} needs no address, and errors are
   * reported. With several cores, a local port that the stack has chosen may change, so that the answers of the peer
   * come to this core. Datagrams that were received before are not affected.
   * @param address such as `10.0.0.2`
   * @param port 1 to 65535
   * @throws NetError EINVAL when the socket is closed or the peer is wrong; EADDRINUSE when another socket with the same
   * local port has this peer; ArgumentError when the text is no address
   */
  connect(address: string, port: number): void {
    this.owner.connect(this, address, port);
  }

  /**
   * Ends what {@link connect} has begun: the socket receives from everybody again. The local port stays.
   * @throws NetError EINVAL when the socket is closed; EADDRINUSE when another socket of the port is not connected
   */
  disconnect(): void {
    this.owner.disconnect(this);
  }

  /** Closes the socket: nothing is received any more, and its port is free. Closing twice does no harm. */
  close(): void {
    this.owner.close(this);
  }
}
