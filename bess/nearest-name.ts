/** Suggestions for misspelt names. */

/** The most letters by which a suggested name may differ from the name that was written. */
const MAX_WRONG = 2;

/** Returns the name in `known` that is most like `name`, or undefined if none is near. Ignores upper and lower case. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.min(MAX_WRONG, Math.floor(name.length / 3)) + 1;
  for (const other of known) {
    const wrong = distance(name.toLowerCase(), other.toLowerCase());
    if (wrong >= least) continue;
    least = wrong;
    best = other;
  }
  return best;
}

/**
 * Returns how many letters must be added, removed or changed to turn one word into the other (Levenshtein distance).
 */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
