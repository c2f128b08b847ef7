/** Names that somebody misspelt. */

/** The most letters that may be wrong in a name so that another one is suggested for it. */
const MAX_WRONG = 2;

/** The name that was probably meant; undefined where none of `known` is near. Letter case does not count. */
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

/** How many letters must be put in, left out or changed to turn one word into the other (Levenshtein). */
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
