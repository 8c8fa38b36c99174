// What somebody who gave a name that does not exist may have meant.

import { largest } from '../engine/extremes.ts';

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

/** Letters that a name must begin with for it to be meant by another. */
const SHORTEST_PREFIX = 3;

/** The names that begin like a word, with as many of its letters as any name has. */
function beginningLike(text: string, names: readonly string[]): string[] {
  const shared = (name: string) => {
    const end = [...name.toLowerCase()].findIndex((letter, i) => letter !== text[i]);
    return end < 0 ? name.length : end;
  };
  const most = largest(names.map(shared));
  return most < SHORTEST_PREFIX ? [] : names.filter((name) => shared(name) === most);
}

/** Whether a name contains a word, or is its end, as where the path of a wrapper stands before it. */
const contains = (name: string, text: string): boolean =>
  name.includes(text) || (name.length >= SHORTEST_PREFIX && text.endsWith(name));

const NEAREST = 5;

/**
 * The end of an error message on an unknown name: all names there are, or where they are many those that come near, by
 * few typing errors, by containing it, by being its end, or else by beginning like it.
 */
export function nearest(wanted: string, names: readonly string[], what: string): string {
  if (names.length <= MOST) return `the ${what} are ${names.join(', ')}`;
  const text = wanted.toLowerCase();
  const near = names
    .map((name) => ({ name, far: distance(text, name.toLowerCase()) }))
    .map(({ name, far }) => ({ name, far: contains(name.toLowerCase(), text) ? Math.min(far, 1) : far }))
    .filter(({ name, far }) => text !== '' && far <= Math.max(2, Math.floor(name.length / 3)))
    .sort((a, b) => a.far - b.far)
    .map(({ name }) => name);
  const meant = (near.length > 0 ? near : beginningLike(text, names)).slice(0, NEAREST);
  if (meant.length > 0) return `did you mean ${meant.join(', ')}?`;
  return `there are ${names.length} ${what}: ${names.slice(0, MOST).join(', ')}, …`;
}
