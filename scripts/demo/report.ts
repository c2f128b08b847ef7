/** The report of the demo: text for people, JSON for programs. */
import type { Drops } from '../../bess/stats.js';
import type { DemoResult } from './scenario.js';

/** The JSON of `npm run demo -- --json`. */
export interface DemoJson {
  endpoints: number;
  hugepages: boolean;
  ping: { sent: number; received: number; rttUs: { p50: number; p99: number; max: number } };
  udp: { sent: number; received: number; corrupt: number };
  tcp: { bytes: number; seconds: number; retransmitted: number; hashOk: boolean };
  switch: { forwarded: number; replicated: number; dropped: number };
}

export function toJson({ endpoints, hugepages, traffic, retransmitted, stats }: DemoResult): DemoJson {
  const { ping, udp, tcp } = traffic;
  const { forwarded, replicated, dropped } = stats.summary;
  return {
    endpoints: endpoints.length,
    hugepages,
    ping: { sent: ping.sent, received: ping.received, rttUs: ping.rttUs },
    udp: { sent: udp.sent, received: udp.received, corrupt: udp.corrupt },
    tcp: {
      ...{ bytes: tcp?.bytes ?? 0, seconds: Math.round((tcp?.seconds ?? 0) * 1000) / 1000 },
      ...{ retransmitted, hashOk: tcp?.hashOk ?? false },
    },
    switch: { forwarded, replicated, dropped: dropped.total },
  };
}

/** Whether everything that was sent came back intact, and the switch dropped nothing on the way. */
export function isClean({ traffic, stats }: DemoResult): boolean {
  const { ping, udp, tcp } = traffic;
  return (
    ping.received === ping.sent &&
    ping.corrupt === 0 &&
    udp.received === udp.sent &&
    udp.corrupt === 0 &&
    tcp?.hashOk === true &&
    lost(stats.summary.dropped) === 0
  );
}

/**
 * Counts the drops of packets for a connected port. The first endpoint's announcement is sent before the second one
 * exists.
 */
function lost({ full, interfaceDown, unknownDestination, deadend, sink }: Drops): number {
  return full + interfaceDown + unknownDestination + deadend + sink;
}

const number = (value: number): string => value.toLocaleString('en-US');

/** Describes the threads of an endpoint. */
const THREADS: Readonly<Record<DemoResult['mode'], (cores: number) => string>> = {
  single: () => 'one thread',
  '1kb': (cores) => `${cores} cores and an RxTx worker`,
  '2kb': (cores) => `${cores} cores, an Rx and a Tx worker`,
};

export function render(result: DemoResult): string {
  const { mode, cores, endpoints, traffic, retransmitted, stats, seconds, hugepages } = result;
  const { ping, udp, tcp } = traffic;
  const { summary } = stats;
  const [a, b] = endpoints;
  const reasons: Record<keyof Drops, string> = {
    noPeer: 'the port was not connected yet',
    interfaceDown: "the port's interface was down",
    full: "the peer's ring was full",
    unknownDestination: 'the MAC address was not in the table',
    deadend: 'the gate was not connected',
    sink: 'the packet reached a Sink',
    tunnel: 'a tunnel module refused the packet',
  };
  const why = (Object.keys(reasons) as (keyof Drops)[])
    .filter((reason) => summary.dropped[reason] > 0)
    .map((reason) => `${summary.dropped[reason]} because ${reasons[reason]}`)
    .join(', ');
  return `
  endpoint 1 (process)            switch (process)               endpoint 2 (process)
  ${a?.ip.padEnd(20)}            forward_script.bess            ${b?.ip}
  ${a?.mac.padEnd(20)}                                           ${b?.mac}
 ┌────────────────────┐                                         ┌────────────────────┐
 │ pings, UDP, TCP/IP │     ┌───────────────────────────┐       │ TCP/IP: UDP, HTTP  │
 │ layer 2: ARP, IP   │     │ vm1 ──► fwd ──────► vm2   │       │ layer 2: ARP, IP   │
 │ virtio-net driver  │◄═══►│ vm2 ──► fwd ──────► vm1   │◄═════►│ virtio-net driver  │
 └────────────────────┘     │   ff:ff ► flood ──► all   │       └────────────────────┘
                            └───────────────────────────┘
  mode ${mode}: ${THREADS[mode](cores)} per endpoint
  packet memory: ${hugepages ? 'hugepages' : 'normal pages'}, shared with the switch by vhost-user; one copy per packet

  ping   ${number(ping.sent)} sent, ${number(ping.received)} answered; round trip p50 ${ping.rttUs.p50} µs, p99 ${ping.rttUs.p99} µs, max ${ping.rttUs.max} µs
  UDP    ${number(udp.sent)} sent, ${number(udp.received)} echoed (${number(udp.bytes)} bytes), ${udp.corrupt} corrupt
  TCP    ${number(tcp?.bytes ?? 0)} bytes in ${(tcp?.seconds ?? 0).toFixed(1)} s, ${number(retransmitted)} retransmitted, hash ${tcp?.hashOk ? 'ok' : 'WRONG'}
  switch ${number(summary.forwarded)} forwarded, including ${summary.replicated} copies of broadcasts; ${summary.dropped.total} dropped${why === '' ? '' : `: ${why}`}
  took   ${seconds.toFixed(1)} s

  ${isClean(result) ? 'OK: nothing lost, nothing corrupt' : 'FAILED: packets were lost or corrupt'}
`;
}
