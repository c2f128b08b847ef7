/**
 * A DNS server for some names of its own, on UDP. It knows nothing of tspmd.
 *
 *     node dist/examples/node/dns-responder.js www.lab=10.0.0.1 db.lab=10.0.0.7
 *
 * The port is 53, or that of the environment variable PORT. A name that was not given does not exist.
 */
import { createSocket } from 'node:dgram';
import { isIPv4 } from 'node:net';
import { type Answer, AUTHORITATIVE_ANSWER, decode, encode, RECURSION_DESIRED } from 'dns-packet';

/** RFC 1035, 4.1.1: the flags have the kind of the question, which is 0 for a name, and an answer's code in the lowest 4 bits. */
const OPCODE = 0x7800;
const NO_ERROR = 0;
const NO_SUCH_NAME = 3;
const NOT_IMPLEMENTED = 4;
/** How long an answer may be kept, in s. */
const TTL = 60;

const addresses = new Map<string, string>();
for (const entry of process.argv.slice(2)) {
  const [name = '', address = ''] = entry.split('=');
  if (name === '' || !isIPv4(address)) {
    console.error(`dns-responder: ${entry}: give NAME=ADDRESS with an IPv4 address`);
    process.exit(1);
  }
  addresses.set(name.toLowerCase(), address);
}

/** Returns the answer to a message, or null when it is no question. */
function answer(message: Buffer): Buffer | null {
  let query: ReturnType<typeof decode>;
  try {
    query = decode(message);
  } catch {
    return null;
  }
  const { type, id = 0, questions = [], flags = 0 } = query;
  const [question] = questions;
  if (type !== 'query' || question === undefined) return null;
  const address = addresses.get(question.name.toLowerCase());
  const answers: Answer[] =
    address !== undefined && question.type === 'A' ? [{ type: 'A', name: question.name, ttl: TTL, data: address }] : [];
  const code = (flags & OPCODE) !== 0 ? NOT_IMPLEMENTED : address === undefined ? NO_SUCH_NAME : NO_ERROR;
  const kept = flags & (OPCODE | RECURSION_DESIRED);
  return encode({
    type: 'response',
    id,
    flags: AUTHORITATIVE_ANSWER | kept | code,
    questions: [question],
    answers,
  });
}

const socket = createSocket('udp4');
socket.on('message', (message, { address, port }) => {
  const response = answer(message);
  if (response !== null) socket.send(response, port, address);
});
socket.on('error', (error) => {
  throw error;
});
socket.bind(Number(process.env.PORT ?? 53), () => {
  const { address, port } = socket.address();
  console.log(`answering at ${address}:${port}`);
});
