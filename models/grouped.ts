// Things by what they have in common.

/** Things by their keys, each key's in their order. */
export function grouped<T>(things: Iterable<readonly [key: string, thing: T]>): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const [key, thing] of things) {
    const group = groups.get(key);
    if (group) group.push(thing);
    else groups.set(key, [thing]);
  }
  return groups;
}
