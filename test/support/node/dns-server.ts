/** A scripted DNS server on a stack of the simulator, over UDP and TCP. It notes what it is asked. */
import { type DecodedPacket, decode, encode, type Packet, TRUNCATED_RESPONSE } from 'dns-packet';
import type { TcpIp } from '../../../src/tcpip/index.js';

/** A question as it came. */
export interface Asked {
  readonly name: string;
  readonly over: 'udp' | 'tcp';
  readonly port: number;
  readonly id: number;
  /** The largest datagram that the client takes; 0 without EDNS. */
  readonly ednsBytes: number;
}

/** What is sent back: a message, whose id and question are filled in; bytes as they are; several; or nothing. */
export type Reply = Partial<Packet> & { readonly rcode?: number; readonly extendedRcode?: number };
export type Script = (asked: Asked) => Reply | Uint8Array | (Reply | Uint8Array)[] | null;

export class DnsServer {
  readonly asked: Asked[] = [];

  constructor(
    net: TcpIp,
    private readonly script: Script,
    port = 53,
  ) {
    net.udp.bind(
      { port },
      {
        message: (socket, bytes, offset, length, address, from) => {
          for (const reply of this.answer(Buffer.from(bytes.subarray(offset, offset + length)), 'udp', from)) {
            socket.send(reply, 0, reply.length, address, from);
          }
        },
      },
    );
    const parts: Buffer[] = [];
    net.tcp.listen(
      { port },
      {
        open: () => void parts.splice(0),
        data: (connection, bytes, offset, length) => {
          parts.push(Buffer.from(bytes.subarray(offset, offset + length)));
          const query = Buffer.concat(parts);
          if (query.length < 2 || query.length < 2 + query.readUInt16BE(0)) return;
          for (const reply of this.answer(query.subarray(2), 'tcp', 0)) {
            const framed = Buffer.concat([Buffer.from([reply.length >> 8, reply.length & 0xff]), reply]);
            connection.write(framed);
          }
        },
        end: (connection) => connection.end(),
      },
    );
  }

  /** The names that were asked for, in turn. */
  get names(): string[] {
    return this.asked.map(({ name }) => name);
  }

  private answer(bytes: Buffer, over: Asked['over'], port: number): Uint8Array[] {
    const query = decode(bytes);
    const [question] = query.questions!;
    const opt = query.additionals!.find(({ type }) => type === 'OPT');
    const ednsBytes = opt?.type === 'OPT' ? opt.udpPayloadSize : 0;
    const asked = { name: question!.name, over, port, id: query.id!, ednsBytes };
    this.asked.push(asked);
    const replies = this.script(asked);
    if (replies === null) return [];
    return (Array.isArray(replies) ? replies : [replies]).map((reply) =>
      reply instanceof Uint8Array ? reply : encodeReply(query, reply),
    );
  }
}

/** Makes the bytes of an answer to a query. */
export function encodeReply(query: Pick<DecodedPacket, 'id' | 'questions'>, reply: Reply): Buffer {
  const { rcode = 0, extendedRcode, flags = 0, additionals = [], ...rest } = reply;
  const opt =
    extendedRcode === undefined
      ? []
      : [
          {
            ...{ type: 'OPT' as const, name: '.', udpPayloadSize: 1232, extendedRcode, ednsVersion: 0, flags: 0 },
            ...{ flag_do: false, options: [] },
          },
        ];
  return encode({
    ...{ type: 'response', id: query.id, questions: query.questions },
    ...rest,
    additionals: [...additionals, ...opt],
    flags: flags | rcode,
  });
}

/** An answer with addresses. */
export function addresses(name: string, ttl: number, ...data: string[]): Reply {
  return { answers: data.map((address) => ({ type: 'A', name, ttl, data: address })) };
}

export function alias(name: string, data: string, ttl = 300): NonNullable<Packet['answers']>[number] {
  return { type: 'CNAME', name, ttl, data };
}

/** The SOA record that says how long an absence holds. */
export function soa(minimum: number, ttl = 3600): NonNullable<Packet['authorities']> {
  return [{ type: 'SOA', name: 'test', ttl, data: { mname: 'ns.test', rname: 'admin.test', minimum } }];
}

export const NO_NAME = 3;
export const truncated: Reply = { flags: TRUNCATED_RESPONSE };
