// The same network is published with other keys: by another library, or by an older version of the same one.

import { FormatError } from '../formats/errors.ts';
import { elementCount, type HostTensor, type StateDict } from '../formats/host-tensor.ts';
import type { Graph, Parameter } from '../graph.ts';
import { isCounter } from '../network.ts';

/** Another publisher's keys of a graph's parameters: theirs -> the graph's. */
export type OtherKeys = ReadonlyMap<string, string>;

/** Other keys from what each of the graph's own keys is called there. */
export function otherKeys(graph: Graph, rename: (key: string) => string): OtherKeys {
  return new Map(parametersOf(graph).map(({ key }) => [rename(key), key]));
}

/** Renaming by patterns, applied one after the other. */
export const byPatterns =
  (patterns: readonly (readonly [RegExp, string | ((...found: string[]) => string)])[]) =>
  (key: string): string =>
    patterns.reduce(
      (name, [pattern, to]) =>
        typeof to === 'string' ? name.replace(pattern, to) : name.replace(pattern, to),
      key,
    );

/** What queries, keys and values are called where they are stored apart. */
const APART = [
  ['query', 'key', 'value'],
  ['q_proj', 'k_proj', 'v_proj'],
] as const;

/** Queries, keys and values of the same shape that are stored apart, "attention.query.weight", as one: "….qkv.weight". */
export function withPackedAttention(tensors: StateDict): StateDict {
  const packed = new Map(tensors);
  for (const key of tensors.keys()) {
    const [, before, first, after] = /^(.*\.)(query|q_proj)(\.(?:weight|bias))$/.exec(key) ?? [];
    const keys = (APART.find(([name]) => name === first) ?? []).map((part) => `${before}${part}${after}`);
    const parts = keys.flatMap((part) => tensors.get(part) ?? []);
    const shape = parts[0]?.shape ?? [];
    if (parts.length !== 3 || !parts.every((part) => part.shape.join() === shape.join())) continue;
    const data = new Float32Array(parts.reduce((sum, part) => sum + part.data.length, 0));
    for (const [i, part] of parts.entries()) data.set(part.data, i * part.data.length);
    for (const part of keys) packed.delete(part);
    packed.set(`${before}qkv${after}`, { shape: [3 * shape[0]!, ...shape.slice(1)], data });
  }
  return packed;
}

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
 * A state dict whose last layer goes by the graph's name of it. Networks that are trained further often get another head,
 * "fc.1" or "head.fc": the one layer that the graph does not know, with as many inputs.
 */
export function withOwnHead(graph: Graph, tensors: StateDict, other: OtherKeys): StateDict {
  const head = graph.nodes.findLast(
    ({ traits, parameters }) => traits.weighted && parameters.weight?.shape.length === 2,
  );
  const ours = head?.parameters.weight;
  const expected = new Set([...other.keys(), ...parametersOf(graph).map(({ key }) => key)]);
  const strangers = [...tensors.keys()].filter((key) => !expected.has(key) && !isCounter(key));
  const [theirs, ...more] = strangers.filter((key) => key.endsWith('.weight'));
  if (ours === undefined || theirs === undefined || more.length > 0) return tensors;
  const before = theirs.slice(0, -'weight'.length);
  const isHead =
    ![...tensors.keys()].some((key) => (other.get(key) ?? key) === ours.key) &&
    strangers.every((key) => key.startsWith(before)) &&
    tensors.get(theirs)!.shape[1] === ours.shape[1];
  if (!isHead) return tensors;
  const renamed = (key: string) =>
    strangers.includes(key) ? head!.name + key.slice(before.length - 1) : key;
  return new Map([...tensors].map(([key, tensor]) => [renamed(key), tensor]));
}

const parametersOf = (graph: Graph): Parameter[] =>
  graph.nodes.flatMap(({ parameters }) => Object.values(parameters));

/**
 * A state dict under the graph's own keys. Tensors under other keys are renamed. A weight [O, I, 1, 1] or [O, C, h, w],
 * as convolutions on a whole feature map have it, becomes the [O, I] of the graph's linear layer, and axes of one element come and go: the
 * numbers are the same in the same order. Everything else is left for `loadNetwork` to accept or to refuse.
 *
 * @throws {FormatError} if two tensors stand for the same parameter.
 */
export function underOwnKeys(graph: Graph, tensors: StateDict, other: OtherKeys): StateDict {
  const shapes = new Map(parametersOf(graph).map(({ key, shape }) => [key, shape]));
  const renamed = new Map<string, HostTensor>();
  const foundAs = new Map<string, string>();
  for (const [key, found] of tensors) {
    const ours = other.get(key) ?? key;
    const before = foundAs.get(ours);
    if (before !== undefined) {
      throw new FormatError(
        `the weights hold ${ours} twice, as ${before} and as ${key}; give one of the two`,
      );
    }
    foundAs.set(ours, key);
    const shape = shapes.get(ours);
    const isSame = shape !== undefined && elementCount(found.shape) === elementCount(shape);
    const flattened = shape?.length === 2 && found.shape.length === 4 && found.shape[0] === shape[0];
    const squeezed = found.shape.filter((n) => n > 1).join() === shape?.filter((n) => n > 1).join();
    renamed.set(ours, isSame && (flattened || squeezed) ? { shape, data: found.data } : found);
  }
  return renamed;
}
