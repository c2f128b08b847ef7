/**
 * The request: an echo message of sockperf, so that its server answers, too. Other servers just send it back.
 *
 * Layout (as sockperf 3.7 sends it; integers are big-endian): a sequence number of 8 bytes, flags of 2 bytes, the length of
 * the message in 4 bytes.
 */
import { REQUEST_BYTES } from './setup.js';

const FLAGS_AT = 8;
const LENGTH_AT = 10;
/** From a client, that wants an answer. */
const CLIENT_PING = 3;

/** Makes the request. */
export function requestMessage(): Uint8Array {
  const bytes = Buffer.alloc(REQUEST_BYTES, 0x55);
  bytes.writeBigUInt64BE(1n, 0);
  bytes.writeUInt16BE(CLIENT_PING, FLAGS_AT);
  bytes.writeUInt32BE(REQUEST_BYTES, LENGTH_AT);
  return bytes;
}
