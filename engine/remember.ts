// What is found of an object once, because it never changes.

/** `find`, whose answer for an object is kept for as long as the object lives. */
export function remembered<Key extends object, Value>(find: (of: Key) => Value): (of: Key) => Value {
  const found = new WeakMap<Key, { readonly value: Value }>();
  return (of) => {
    const kept = found.get(of) ?? { value: find(of) };
    found.set(of, kept);
    return kept.value;
  };
}
