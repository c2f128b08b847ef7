/** Why tests of Node fail over the stack, where that is known. */

export const KNOWN: Readonly<Record<string, string>> = {
  'test-http-dump-req-when-res-ends.js':
    'a burst of packets is handled in one turn: ticks and promises have their turn after the burst, not after each read',
  'test-http-pause-no-dump.js':
    'the request and its body arrive in one read, so that the request is complete before the answer is finished',
  'test-http-should-keep-alive.js':
    'data and end arrive in one turn: a socket whose peer has ended is taken from the pool of the agent, as may happen over any network',
  'test-https-autoselectfamily.js':
    'IPv6: a TLS socket is bound to the first connection of the socket below it, so it tries no second address',
};
