/**
 * TCP against any sequence of segments, ICMP errors, calls of applications, faults of the device and waits. After each
 * step the words of all rows agree with each other; at the end nothing is left.
 */
import type { Input } from '../input.js';
import type { FuzzTarget } from '../target.js';
import { marksOf, TcpCase } from '../tcp-case.js';

const MAX_ACTIONS = 100;
const WAITS = [1, 10, 41, 201, 1001, 3001, 61_000, 130_000];

export const tcpSegments: FuzzTarget = {
  name: 'tcp-segments',
  summary: 'segments near the window, calls, faults and waits: the state of TCP holds together, and nothing is left',
  maxBytes: 768,
  prepare(feedback) {
    const mark = (state: number): void => feedback.mark(state);
    const run = (input: Input): void => {
      const one = new TcpCase(input);
      const end = input.u8();
      for (let n = 0; n < MAX_ACTIONS && input.left > 0; n++) {
        step(one, input);
        if ((end & 2) === 0 || n % 4 === 0) one.settle();
      }
      one.settle();
      marksOf(one, mark);
      one.finish((end & 1) === 0);
    };
    return { run };
  },
};

function step(one: TcpCase, input: Input): void {
  const { bare } = one;
  const what = input.u8();
  switch (what & 15) {
    case 0:
      one.connect(input);
      break;
    case 1:
    case 2:
    case 3:
      one.act(input);
      break;
    case 4:
    case 5:
      bare.pass(WAITS[what >>> 5]!);
      break;
    case 6:
      bare.isBlocked = (what & 16) !== 0;
      bare.hasNoBuffer = (what & 32) !== 0;
      break;
    case 7:
      one.icmp(input);
      break;
    case 8:
      one.again(1 + (what >>> 4));
      break;
    case 9:
      one.acknowledge(input);
      break;
    default:
      one.segment(input);
  }
}
