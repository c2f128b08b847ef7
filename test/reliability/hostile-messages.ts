/**
 * Hostile neighbours that speak vhost-user themselves: each does one thing again and again, on one port of the switch, until its
 * process ends. `begun` is called when the switch has answered for the first time.
 */
import { ftruncateSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  allocatePages,
  closeFile,
  connectUnix,
  emptyMemfd,
  MAX_FDS,
  MessageSocket,
  Reactor,
} from '../../drivers/libc/index.js';
import * as p from '../../drivers/transports/vhost-user/protocol.js';
import {
  VHOST_USER_F_PROTOCOL_FEATURES,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_VERSION_1,
} from '../../drivers/virtio/features.js';
import { VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT } from '../../drivers/virtio/layout/split.js';
import { vhostUserMessage } from '../support/bess/refused-messages.js';
import { BIG_BYTES, DescriptorKinds } from '../support/libc/descriptor-kinds.js';
import { LINGERING_SOCKET } from '../support/libc/lingering-socket.js';
import { FakeFrontend, USER_BASE } from '../support/vhost-user/fake-frontend.js';

const R = p.VhostUserRequest;
const REQUESTS = Object.values(R);
const FEATURES = VIRTIO_F_VERSION_1 | VHOST_USER_F_PROTOCOL_FEATURES;
/** Bytes that a file has pages for, when its last close is the switch's. */
const FILLED_BYTES = 256 * 2 ** 20;
/** One connection of so many gets such a file. */
const FILLED_ONE_IN = 64;
const REPLY_BYTES = 4096;
/** With the descriptor of its table a chain is as long as it may be. */
const CHAIN_PARTS = 127;
/** The largest that fits the memory of {@link FakeFrontend}. */
const RING_SIZE = 2048;
const DESCRIPTOR_BYTES = 16;
/** Parts of a frame with data, as many as a frame may have or fewer. */
const FRAME_PARTS = 16;
const PART_BYTES = 12;
const TX_RING = 1;

export const MESSAGE_KINDS = [
  'sends descriptors of every kind',
  'kicks long chains on a disabled ring',
  'sends memory tables of 3 GiB',
] as const;
type MessageKind = (typeof MESSAGE_KINDS)[number];

export function sendHostileMessages(path: string, kind: MessageKind, begun: () => void): Promise<never> {
  if (kind === 'sends descriptors of every kind') return sendDescriptors(path, begun);
  return kind === 'kicks long chains on a disabled ring' ? kickLongChains(path, begun) : sendBigTables(path, begun);
}

/** A payload with which the request is well-formed, if it has `count` descriptors. */
function payloadOf(request: number, count: number): Buffer {
  if (request === R.SET_MEM_TABLE) return p.encodeMemoryTable(bigRegions(count, 4096));
  if (request === R.SET_VRING_KICK || request === R.SET_VRING_CALL || request === R.SET_VRING_ERR) {
    return p.encodeVringFd(0, true);
  }
  return p.encodeU64(0n);
}

function bigRegions(count: number, size: number): p.MemoryRegion[] {
  return Array.from({ length: count }, (_, i) => ({
    guestAddress: BigInt(i * size),
    size: BigInt(size),
    userAddress: USER_BASE + BigInt(i * size),
    mmapOffset: 0n,
  }));
}

/** Every request with each kind of descriptor, alone and eight times; a new connection whenever the switch hangs up. */
async function sendDescriptors(path: string, begun: () => void): Promise<never> {
  const sets = new DescriptorKinds().all.flatMap((fd) => [[fd], Array.from({ length: MAX_FDS }, () => fd)]);
  const replies = Buffer.from(new ArrayBuffer(REPLY_BYTES));
  let connections = 0;
  let hasBegun = false;
  for (;;) {
    for (const request of REQUESTS) {
      let socket: MessageSocket | null = null;
      for (const fds of sets) {
        socket ??= open(path, connections++);
        const message = vhostUserMessage(request, p.FLAG_NEED_REPLY, payloadOf(request, fds.length));
        const isAnswered: boolean = await exchange(socket, message, fds, replies);
        if (isAnswered && !hasBegun) begun();
        hasBegun ||= isAnswered;
        if (isAnswered) continue;
        socket.close();
        socket = null;
      }
      socket?.close();
    }
  }
}

/** Sends a message. False where the switch hangs up instead of answering it. */
async function exchange(socket: MessageSocket, message: Buffer, fds: number[], replies: Buffer): Promise<boolean> {
  try {
    socket.send(message, fds);
    for (;;) {
      const received = socket.receive(replies);
      if (received !== null) return received.bytes > 0;
      await nextTurn();
    }
  } catch {
    return false;
  }
}

/** A connection that is answered. Now and then the switch is the last to have a file with many pages. */
function open(path: string, number: number): MessageSocket {
  const socket = new MessageSocket(connectUnix(path), path);
  socket.send(vhostUserMessage(R.SET_PROTOCOL_FEATURES, 0, p.encodeU64(p.PROTOCOL_F_REPLY_ACK)));
  if (number % FILLED_ONE_IN !== 1) return socket;
  const file = emptyMemfd('filled');
  allocatePages(file, FILLED_BYTES, 'filled');
  socket.send(vhostUserMessage(R.SET_MEM_TABLE, 0, p.encodeMemoryTable(bigRegions(1, FILLED_BYTES))), [file]);
  closeFile(file);
  return socket;
}

/**
 * A disabled transmit ring that is full of chains of {@link CHAIN_PARTS} descriptors. All chains are one indirect table, so that it
 * costs the neighbour almost nothing to offer them again.
 */
async function kickLongChains(path: string, begun: () => void): Promise<never> {
  const frontend = new FakeFrontend(connectUnix(path), new Reactor(), { size: RING_SIZE });
  const { tx } = frontend;
  frontend.start(FEATURES | VIRTIO_F_INDIRECT_DESC, 0n);
  frontend.setEnabled(TX_RING, 0);
  const table = tx.buffer(CHAIN_PARTS * DESCRIPTOR_BYTES);
  const data = tx.buffer(PART_BYTES);
  for (let i = 0; i < CHAIN_PARTS; i++) {
    // A frame has few parts; the other descriptors are empty.
    const length = i < FRAME_PARTS ? PART_BYTES : 0;
    const isLast = i === CHAIN_PARTS - 1;
    tx.setDescriptor(i, data, length, isLast ? 0 : VIRTQ_DESC_F_NEXT, isLast ? 0 : i + 1, table);
  }
  for (let id = 0; id < RING_SIZE; id++) {
    tx.setDescriptor(id, table, CHAIN_PARTS * DESCRIPTOR_BYTES, VIRTQ_DESC_F_INDIRECT, 0);
    tx.offerHead(id);
  }
  for (let used = 0; ; ) {
    frontend.kick(TX_RING);
    await nextTurn();
    const chains = tx.takeUsed();
    for (const { id } of chains) tx.offerHead(id);
    if (used === 0 && chains.length > 0) begun();
    used += chains.length;
  }
}

async function sendBigTables(path: string, begun: () => void): Promise<never> {
  const frontend = new FakeFrontend(connectUnix(path), new Reactor());
  frontend.setFeatures(FEATURES, p.PROTOCOL_F_REPLY_ACK);
  const file = emptyMemfd('big');
  ftruncateSync(file, BIG_BYTES);
  const table = p.encodeMemoryTable(bigRegions(1, BIG_BYTES));
  for (let tables = 0; ; tables++) {
    if (!(await frontend.confirm(R.SET_MEM_TABLE, table, [file]))) throw new Error('a memory table was refused');
    if (tables === 0) begun();
  }
}

/**
 * A program in Python: sends sockets whose last close is the switch's and waits for data that nobody reads, on messages of all
 * kinds, until more wait to be closed than the switch allows. Its argument is the socket of the port.
 */
export const SEND_LINGERING_SOCKETS = `${LINGERING_SOCKET}
import resource, time
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
peers = []
request = 0
def connect():
    unix = socket.socket(socket.AF_UNIX)
    unix.settimeout(0.05)
    unix.connect(sys.argv[1])
    return unix
while len(peers) < 1200:
    request = request % ${REQUESTS.length} + 1
    tcp, peer = lingering()
    peers.append(peer)
    try:
        # The switch reads the second connection when the first is closed: then it alone has the socket.
        first, second = connect(), connect()
        payload = bytes(8) if request in (${[R.SET_MEM_TABLE, R.SET_VRING_KICK, R.SET_VRING_CALL, R.SET_VRING_ERR]}) else b''
        socket.send_fds(second, [message(request, payload)], [tcp.fileno()] * (8 if len(peers) % 2 else 1))
        tcp.close()
        first.close()
        second.recv(1)
    except OSError: time.sleep(0.01)
    second.close()
    if len(peers) == 2: print('ready', flush=True)
sys.stdin.read()
`;
