// Parameters and inputs that this code and make-references.py make alike, from a tensor's name and shape alone.
//
//   seed    = FNV-1a of the name, 32 bits
//   bits_i  = mix(seed + i 0x9e3779b9)           mix: lowbias32 (https://github.com/skeeto/hash-prospector)
//   u_i     = (bits_i >> 8) / 2^24               exact in float32
//   value_i = float32(low + (high - low) u_i)    computed in float64
//
// with low and high by the tensor's role: see `rangeOf`.

import type { OtherKeys } from '../../../models/architectures/other-keys.ts';
import type { HostTensor, StateDict } from '../../../models/formats/host-tensor.ts';
import type { Graph, Parameter } from '../../../models/graph.ts';

/** FNV-1a, 32 bits, of ASCII text. */
export function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/** The tensor of a name and a shape, uniform in a range. */
export function seeded(
  name: string,
  shape: readonly number[],
  [low, high]: readonly [number, number],
): HostTensor {
  const data = new Float32Array(shape.reduce((product, n) => product * n, 1));
  let state = hash(name);
  for (let i = 0; i < data.length; i++) {
    let x = state ^ (state >>> 16);
    x = Math.imul(x, 0x7feb352d);
    x ^= x >>> 15;
    x = Math.imul(x, 0x846ca68b);
    x ^= x >>> 16;
    data[i] = low + (high - low) * ((x >>> 8) / 2 ** 24);
    state = (state + 0x9e3779b9) | 0;
  }
  return { shape, data };
}

/** He's uniform range for weights of several axes; normalisation near the identity; small biases; tokens up to 1/2. */
export function rangeOf(key: string, shape: readonly number[], gain: number): readonly [number, number] {
  if (key.endsWith('running_var')) return [0.8, 1.2];
  if (key.endsWith('bias') || key.endsWith('running_mean')) return [-0.1, 0.1];
  if (!key.endsWith('weight')) return [-0.5, 0.5];
  if (shape.length === 1) return [0.8, 1.2];
  const bound = gain * Math.sqrt(6 / shape.slice(1).reduce((product, n) => product * n, 1));
  return [-bound, bound];
}

/**
 * Every parameter that a graph names, under the keys of another publisher where they are given; `gain` multiplies the
 * range of weights of several axes.
 */
export function seededTensors(graph: Graph, gain = 1, other: OtherKeys = new Map()): StateDict {
  return new Map(
    parametersOf(graph, other).map(({ key, shape }) => [key, seeded(key, shape, rangeOf(key, shape, gain))]),
  );
}

/** A graph's parameters, under the keys of another publisher where they are given. */
function parametersOf(graph: Graph, other: OtherKeys): Parameter[] {
  const names = new Map([...other].map(([theirs, own]) => [own, theirs]));
  return graph.nodes.flatMap((node) =>
    Object.values(node.parameters).map(({ key, shape }) => ({ key: names.get(key) ?? key, shape })),
  );
}

/** Images [N, C, H, W]: cells of 8 x 8 pixels of one colour, and a little noise. */
export function seededImages(shape: readonly [number, number, number, number]): HostTensor {
  const [batch, channels, height, width] = shape;
  const [rows, columns] = [Math.ceil(height / 8), Math.ceil(width / 8)];
  const coarse = seeded('input.coarse', [batch, channels, rows, columns], [-2, 2]).data;
  const fine = seeded('input.fine', shape, [-0.5, 0.5]).data;
  const data = fine.map((value, i) => {
    const [x, y, plane] = [i % width, Math.floor(i / width) % height, Math.floor(i / (width * height))];
    return value + coarse[(plane * rows + (y >> 3)) * columns + (x >> 3)]!;
  });
  return { shape, data };
}

export interface Fingerprint {
  readonly keys: number;
  readonly numbers: number;
  readonly hash: number;
}

/**
 * What tells whether two lists of keys and shapes are the same: how many, and a hash of them sorted. Under another
 * publisher's keys, of shapes only the number of elements is looked at.
 */
export function fingerprint(graph: Graph, other?: OtherKeys): Fingerprint {
  const parameters = parametersOf(graph, other ?? new Map());
  const count = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);
  const lines = parameters.map(({ key, shape }) => `${key} ${other ? count(shape) : shape.join(',')}`).sort();
  const numbers = parameters.reduce((sum, { shape }) => sum + count(shape), 0);
  return { keys: lines.length, numbers, hash: hash(lines.join('\n')) };
}
