// Parameters and inputs that this code and make-references.py make alike, from a tensor's name and shape alone.
//
//   seed    = FNV-1a of the name, 32 bits
//   bits_i  = mix(seed + i 0x9e3779b9)           mix: lowbias32 (https://github.com/skeeto/hash-prospector)
//   u_i     = (bits_i >> 8) / 2^24               exact in float32
//   value_i = float32(low + (high - low) u_i)    computed in float64
//
// with low and high by the tensor's role: see `rangeOf`.

import type { HostTensor, StateDict } from '../../../models/formats/host-tensor.ts';
import type { Graph } from '../../../models/graph.ts';

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
function rangeOf(key: string, shape: readonly number[], gain: number): readonly [number, number] {
  if (key.endsWith('running_var')) return [0.8, 1.2];
  if (key.endsWith('bias') || key.endsWith('running_mean')) return [-0.1, 0.1];
  if (!key.endsWith('weight')) return [-0.5, 0.5];
  if (shape.length === 1) return [0.8, 1.2];
  const bound = gain * Math.sqrt(6 / shape.slice(1).reduce((product, n) => product * n, 1));
  return [-bound, bound];
}

/** Every parameter that a graph names; `gain` multiplies the range of weights of several axes. */
export function seededTensors(graph: Graph, gain = 1): StateDict {
  const parameters = graph.nodes.flatMap((node) => Object.values(node.parameters));
  return new Map(parameters.map(({ key, shape }) => [key, seeded(key, shape, rangeOf(key, shape, gain))]));
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

/** What tells whether two lists of keys and shapes are the same: their number, and a hash of them sorted. */
export function fingerprint(graph: Graph): { keys: number; numbers: number; hash: number } {
  const parameters = graph.nodes.flatMap((node) => Object.values(node.parameters));
  const lines = parameters.map(({ key, shape }) => `${key} ${shape.join(',')}`).sort();
  const numbers = parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  return { keys: lines.length, numbers, hash: hash(lines.join('\n')) };
}
