// What somebody who gave a name that does not exist may have meant.

/** Letters to insert, delete, replace or swap with a neighbour on the way from one word to another (Damerau 1964). */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (same ? 0 : 1));
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) next[j] = Math.min(next[j]!, before[j - 2]! + 1);
    }
    [before, row] = [row, next];
  }
  return row[b.length]!;
}

const MOST = 12;

/**
 * The end of an error message on an unknown name: all names there are, or where they are many those that come near, by
 * few typing errors or by containing it.
 */
export function nearest(wanted: string, names: readonly string[], what: string): string {
  if (names.length <= MOST) return `the ${what} are ${names.join(', ')}`;
  const text = wanted.toLowerCase();
  const near = names
    .map((name) => ({ name, far: distance(text, name.toLowerCase()) }))
    .map(({ name, far }) => ({ name, far: name.toLowerCase().includes(text) ? Math.min(far, 1) : far }))
    .filter(({ name, far }) => text !== '' && far <= Math.max(2, Math.floor(name.length / 3)))
    .sort((a, b) => a.far - b.far)
    .slice(0, 5)
    .map(({ name }) => name);
  if (near.length > 0) return `did you mean ${near.join(', ')}?`;
  return `there are ${names.length} ${what}: ${names.slice(0, MOST).join(', ')}, …`;
}
