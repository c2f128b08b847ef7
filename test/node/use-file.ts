/** The variable that names the file in which a test of Node leaves how many segments it has sent by the stack. */
export const USE_FILE = 'TSPMD_NODE_TEST_USE';
