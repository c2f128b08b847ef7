/** The states by their names in RFC 9293, 3.3.2. */
export const STATE_NAMES: readonly string[] = [
  'CLOSED',
  'SYN-SENT',
  'SYN-RECEIVED',
  'ESTABLISHED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'CLOSE-WAIT',
  'CLOSING',
  'LAST-ACK',
  // Over on the wire: for the application this is TIME-WAIT.
  'TIME-WAIT',
];

/** The name of a STATE_ number. */
export function stateName(state: number): string {
  return STATE_NAMES[state];
}
