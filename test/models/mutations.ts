// Damage to files, by chance: `next` gives the numbers from 0 to 1 that it is drawn from.

/** A file as its bytes with some of them changed. */
export function mutated(bytes: Uint8Array, next: () => number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const at = () => Math.floor(next() * copy.length);
  for (let edits = 1 + Math.floor(next() * 3); edits > 0; edits--) {
    const place = at();
    const kind = next();
    if (kind < 0.4) copy[place] = Math.floor(next() * 256);
    else if (kind < 0.7) copy[place]! ^= 1 << Math.floor(next() * 8);
    else if (kind < 0.85) copy.fill(next() < 0.5 ? 0 : 255, place, place + 8);
    else copy.copyWithin(place, at(), at());
  }
  return next() < 0.1 ? copy.subarray(0, at()) : copy;
}

/** Values that stand where others should. */
const oddities = [
  ...[null, -1, 0, 2 ** 31, 1e300, 'x', '__proto__', [], {}, true, [[]], ['a', 0, 0]],
  ...['../../x', '/etc/passwd', 'http://example.org/x', 'file:///etc/passwd', 'C:\\x', 'a/../../x'],
];
/** Keys that reach every object where they are not taken for plain names. */
const prototypes = ['__proto__', 'constructor', 'prototype'];

/** Some value of a JSON tree exchanged, removed or doubled, or with another key. */
export function exchanged(tree: unknown, next: () => number): unknown {
  const copy = structuredClone(tree);
  const places: [Record<string, unknown>, string][] = [];
  const visit = (node: unknown) => {
    if (typeof node !== 'object' || node === null) return;
    for (const key of Object.keys(node)) {
      places.push([node as Record<string, unknown>, key]);
      visit((node as Record<string, unknown>)[key]);
    }
  };
  visit(copy);
  const [parent, key] = places[Math.floor(next() * places.length)]!;
  const [other, otherKey] = places[Math.floor(next() * places.length)]!;
  const kind = next();
  if (next() < 0.1) {
    // Defined, since assigning would make the value the prototype.
    const name = prototypes[Math.floor(next() * prototypes.length)]!;
    const value = kind < 0.5 ? parent[key] : { polluted: true, prototype: { polluted: true } };
    Object.defineProperty(parent, name, { value, enumerable: true, writable: true, configurable: true });
    return copy;
  }
  if (kind < 0.6) parent[key] = oddities[Math.floor(next() * oddities.length)];
  else if (kind < 0.75) delete parent[key];
  else parent[key] = structuredClone(other[otherKey]);
  return copy;
}

/** By how many bytes the program's memory peaks higher for what `run` does. */
export async function peakOf(run: () => Promise<void>): Promise<number> {
  const before = process.resourceUsage().maxRSS;
  await run();
  return (process.resourceUsage().maxRSS - before) * 1024;
}
