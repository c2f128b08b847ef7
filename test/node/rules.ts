/** Which tests of Node do not apply, and why, as far as their text tells. */

interface Rule {
  readonly reason: string;
  readonly pattern: RegExp;
}

const RULES: readonly Rule[] = [
  { reason: 'uses internals of Node', pattern: /expose[-_]internals|internalBinding|process\.binding\(/ },
  {
    reason: 'needs more than one process or thread',
    pattern: /['"](?:node:)?(?:child_process|cluster|worker_threads)['"]/,
  },
  { reason: 'needs IPv6', pattern: /if \(!common\.hasIPv6\)|hasIPv6 *\|\| *common\.skip/ },
  {
    reason: 'passes file descriptors',
    pattern: /\bfd: *(?:handle\.|server\._handle|\d)|_handle\.fd\b|listen\(\{ *fd\b/,
  },
];

/** Returns why a test with this text does not apply; null when it may. */
export function whyNot(source: string): string | null {
  return RULES.find(({ pattern }) => pattern.test(source))?.reason ?? null;
}

/** The options for Node that a test asks for in its comments. */
export function flagsOf(source: string): string[] {
  const [, flags = ''] = /^\/\/ Flags: +(--.*)$/m.exec(source) ?? [];
  return flags.split(/\s+/).filter((flag) => flag !== '');
}
