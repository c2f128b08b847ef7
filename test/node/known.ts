/** Why tests of Node fail over the stack, where that is known. */

export const KNOWN: Readonly<Record<string, string>> = {
  'test-http-dump-req-when-res-ends.js':
    'a burst of packets is handled in one turn of the event loop: ticks and promises have their turn after the burst, not after each read',
  'test-http-pause-no-dump.js':
    'Node runs ticks between the body of a request and its end when libuv calls http’s parser, but not when JavaScript does',
  'test-http-should-keep-alive.js':
    'an answer and the end of its connection come in one burst: the next request takes the connection before the agent knows of its end',
  'test-https-autoselectfamily.js':
    'IPv6: a TLS socket is bound to the first connection of the socket below it, so it tries no second address',
};
