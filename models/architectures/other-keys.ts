// The same network is published with other keys: by another library, or by an older version of the same one.

import { FormatError } from '../formats/errors.ts';
import { elementCount, type HostTensor, type StateDict } from '../formats/host-tensor.ts';
import type { Graph } from '../graph.ts';

/** Another publisher's keys of a graph's parameters: theirs -> the graph's. */
export type OtherKeys = ReadonlyMap<string, string>;

/** Other keys from what each of the graph's own keys is called there. */
export function otherKeys(graph: Graph, rename: (key: string) => string): OtherKeys {
  const own = graph.nodes.flatMap((node) => Object.values(node.parameters).map(({ key }) => key));
  return new Map(own.map((key) => [rename(key), key]));
}

/** Renaming by patterns, applied one after the other. */
export const byPatterns =
  (patterns: readonly (readonly [RegExp, string])[]) =>
  (key: string): string =>
    patterns.reduce((name, [pattern, to]) => name.replace(pattern, to), key);

/** What wrappers put before every key: data parallelism, compilation, training frameworks, checkpoints. */
const WRAPPER = /^(module|_orig_mod|model|state_dict|backbone|net|network)\./;

/** Keys without the prefixes that all of them share because the network was saved inside something else. */
export function unwrapped(tensors: StateDict): StateDict {
  const [first] = tensors.keys();
  const [prefix] = WRAPPER.exec(first ?? '') ?? [];
  if (prefix === undefined || ![...tensors.keys()].every((key) => key.startsWith(prefix))) return tensors;
  return unwrapped(new Map([...tensors].map(([key, tensor]) => [key.slice(prefix.length), tensor])));
}

/**
 * A state dict under the graph's own keys. Tensors under other keys are renamed. A weight [O, I, 1, 1] or [O, C, h, w],
 * as convolutions on a whole feature map have it, becomes the [O, I] of the graph's linear layer: the numbers are the
 * same in the same order. Everything else is left for `loadNetwork` to accept or to refuse.
 *
 * @throws {FormatError} if two tensors stand for the same parameter.
 */
export function underOwnKeys(graph: Graph, tensors: StateDict, other: OtherKeys): StateDict {
  const shapes = new Map(
    graph.nodes.flatMap((node) => Object.values(node.parameters).map(({ key, shape }) => [key, shape])),
  );
  const renamed = new Map<string, HostTensor>();
  const foundAs = new Map<string, string>();
  for (const [key, found] of tensors) {
    const own = other.get(key) ?? key;
    const before = foundAs.get(own);
    if (before !== undefined) {
      throw new FormatError(`the weights hold ${own} twice, as ${before} and as ${key}; give one of the two`);
    }
    foundAs.set(own, key);
    const shape = shapes.get(own);
    const flattened =
      shape?.length === 2 &&
      found.shape.length === 4 &&
      found.shape[0] === shape[0] &&
      elementCount(found.shape) === elementCount(shape);
    renamed.set(own, flattened ? { shape, data: found.data } : found);
  }
  return renamed;
}
